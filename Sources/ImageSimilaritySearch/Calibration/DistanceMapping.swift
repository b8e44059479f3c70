/// A probability that never rises with the distance: a logistic curve, or straight lines between knots.
struct DistanceMapping: Sendable, Hashable, Codable {
  /// A point of the mapping, on the scale's axis.
  private struct Knot: Sendable, Hashable, Codable {
    var x: Double
    var probability: Double
  }

  private let scale: DistanceScale
  private let curve: LogisticCurve
  /// By ascending x; empty where the curve is all there is. Left and right of them the probability is that of the outermost.
  private let knots: [Knot]

  /// As many pairs that are as the curve says count in each step.
  private static let priorPairs = 10.0

  /// - Precondition: there are samples.
  init(_ method: DistanceCalibration.Method, _ scale: DistanceScale, _ samples: [JudgedDistance]) {
    let ordered = samples.indices.sorted { (samples[$0].distance, $0) < (samples[$1].distance, $1) }.map { samples[$0] }
    let x = ordered.map { scale($0.distance) }
    let mean = ordered.reduce(0) { $0 + $1.weight } / Double(ordered.count)
    let weights = ordered.map { $0.weight / mean }
    let curve = LogisticCurve(x: x, isSame: ordered.map(\.isSame), weights: weights)
    self.scale = scale
    self.curve = curve
    knots = method == .logistic ? [] : Self.steps(x, ordered.map { $0.isSame ? 1 : 0 }, weights, curve)
  }

  func probability(_ distance: Float) -> Double {
    if distance.isNaN { return .nan }
    let x = scale(distance)
    guard let first = knots.first, let last = knots.last else { return curve.probability(x) }
    if x <= first.x { return first.probability }
    if x >= last.x { return last.probability }
    var (low, high) = (0, knots.count - 1)
    while high - low > 1 {
      let middle = (low + high) / 2
      if knots[middle].x <= x { low = middle } else { high = middle }
    }
    let (a, b) = (knots[low], knots[high])
    return a.probability + (b.probability - a.probability) * ((x - a.x) / (b.x - a.x))
  }

  private static func steps(
    _ x: [Double], _ targets: [Double], _ weights: [Double], _ curve: LogisticCurve
  ) -> [Knot] {
    let steps = IsotonicRegression.nonincreasing(targets, weights: weights) { x[$0] == x[$0 - 1] }
    let means = steps.map { step in
      step.samples.reduce((x: 0.0, curve: 0.0)) { sum, i in
        (sum.x + weights[i] / step.weight * x[i], sum.curve + weights[i] / step.weight * curve.probability(x[i]))
      }
    }
    let shrunk = zip(steps, means).map { step, mean in
      (step.value * step.weight + mean.curve * priorPairs) / (step.weight + priorPairs)
    }
    // What is added may turn the order of neighbours.
    let blocks = IsotonicRegression.nonincreasing(shrunk, weights: steps.map { $0.weight + priorPairs })
    return blocks.flatMap { block in
      block.samples.map { Knot(x: means[$0].x, probability: min(1, max(0, block.value))) }
    }
  }

  // MARK: From files

  private enum CodingKeys: String, CodingKey { case scale, curve, knots }

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    scale = try container.decode(DistanceScale.self, forKey: .scale)
    curve = try container.decode(LogisticCurve.self, forKey: .curve)
    knots = try container.decode([Knot].self, forKey: .knots)
    let isFalling = zip(knots, knots.dropFirst()).allSatisfy { $0.x <= $1.x && $0.probability >= $1.probability }
    let isSound =
      scale.unit > 0 && scale.unit.isFinite && curve.slope <= 0 && curve.slope.isFinite && curve.intercept.isFinite
      && isFalling && knots.allSatisfy { $0.x.isFinite && (0...1).contains($0.probability) }
    guard isSound else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath,
          debugDescription: "expected a probability from 0 to 1 that never rises with the distance"))
    }
  }
}
