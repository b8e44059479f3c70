#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What comes of calling all pairs up to a distance the same, for one distance after the other.
public struct PrecisionCurve: Sendable, Hashable, Codable {
  /// Calling all pairs at `distance` or nearer the same.
  public struct Point: Sendable, Hashable, Codable {
    public var distance: Float
    /// The part of the pairs at this distance or nearer that are the same, by weight.
    public var precision: Double
    /// The part of the pairs that are the same which are at this distance or nearer, by weight.
    public var recall: Double
    /// How many independent observations the precision rests on: the groups of pairs at this distance or nearer, by their
    /// weights `w`: `sum(w)^2 / sum(w^2)` (Kish, Survey Sampling, 1965).
    public var observations: Double

    /// What the precision is at least, with this confidence, from 0.5 to below 1: the lower end of Wilson's one-sided score
    /// interval (Wilson, Probable Inference, 1927).
    ///
    /// It speaks of one distance. The best of many distances is a little luckier than it says.
    public func precisionBound(confidence: Double) -> Double {
      let z = normalQuantile(confidence)
      let n = observations
      let deviation = (precision * (1 - precision) / n + z * z / (4 * n * n)).squareRoot()
      return max(0, (precision + z * z / (2 * n) - z * deviation) / (1 + z * z / n))
    }
  }

  /// By ascending distance, at most 512: distances at which there are pairs that are the same.
  public let points: [Point]

  /// The largest distance at which the precision is still at least `precision`; nil where there is none.
  ///
  /// - Parameter confidence: Where given, from 0.5 to below 1, ``Point/precisionBound(confidence:)`` is what must be at least
  ///   `precision`. That takes about `2.7 / (1 - precision)` observations without a mistake at a confidence of .95.
  /// - Complexity: O(`points.count`)
  public func threshold(forPrecision precision: Double, confidence: Double? = nil) -> Point? {
    points.last { point in
      (confidence.map { point.precisionBound(confidence: $0) } ?? point.precision) >= precision
    }
  }

  static let pointsAtMost = 512

  /// - Parameter samples: Finite, with weights above 0, and at least one that is the same.
  init(_ samples: [JudgedDistance]) {
    let order = samples.indices.sorted { (samples[$0].distance, $0) < (samples[$1].distance, $1) }
    let allSame = samples.reduce(0) { $0 + ($1.isSame ? $1.weight : 0) }
    var found: [Point] = []
    var groups: [Int: Double] = [:]
    var (weight, same, squares) = (0.0, 0.0, 0.0)
    var start = 0
    while start < order.count {
      let distance = samples[order[start]].distance
      var end = start
      let sameBefore = same
      while end < order.count, samples[order[end]].distance == distance {
        let sample = samples[order[end]]
        weight += sample.weight
        if sample.isSame { same += sample.weight }
        if let group = sample.group {
          let before = groups[group, default: 0]
          groups[group] = before + sample.weight
          squares += sample.weight * (2 * before + sample.weight)
        } else {
          squares += sample.weight * sample.weight
        }
        end += 1
      }
      start = end
      if same > sameBefore {
        found.append(
          Point(
            distance: distance, precision: same / weight, recall: same / allSame,
            observations: weight * weight / squares))
      }
    }
    let count = min(found.count, Self.pointsAtMost)
    // The last of each of `count` equal parts.
    points = (0..<count).map { found[($0 + 1) * found.count / count - 1] }
  }
}

/// The number that a standard normal variable is below with this probability, from 0.5 to below 1, to about 12 digits.
private func normalQuantile(_ probability: Double) -> Double {
  precondition(probability >= 0.5 && probability < 1, "a confidence is from 0.5 to below 1, not \(probability)")
  var (low, high) = (0.0, 9.0)
  for _ in 0..<60 {
    let middle = (low + high) / 2
    if 0.5 * erfc(-middle / 2.0.squareRoot()) < probability { low = middle } else { high = middle }
  }
  return (low + high) / 2
}
