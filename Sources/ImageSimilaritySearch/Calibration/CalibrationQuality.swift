#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// How far probabilities can be believed: what was said, against what was so.
public struct CalibrationQuality: Sendable, Hashable, Codable {
  /// Pairs of similar probability.
  public struct Bin: Sendable, Hashable, Codable {
    /// The mean of the probabilities that were said.
    public var probability: Double
    /// The part of the pairs that were the same.
    public var observed: Double
    /// The bin's part of the weight of all pairs, from 0 to 1.
    public var share: Double
    /// Number of pairs.
    public var pairs: Int
  }

  /// The reliability curve: by ascending probability, bins of about equal mass, of which pairs that are the same have one half
  /// and pairs that are different the other, so that the rarer ones are seen as well.
  public var bins: [Bin]
  /// The mean distance between what was said and what was so: `sum(share * |observed - probability|)` over the bins (Naeini,
  /// Cooper, Hauskrecht, 2015; Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, 2017).
  public var expectedCalibrationError: Double
  /// The mean of `(probability - outcome)^2` (Brier, 1950).
  public var brierScore: Double
  /// The mean of `-log(probability of what was so)`, in nats.
  public var logLoss: Double
  /// The part of the pairs that were the same, by weight.
  public var baseRate: Double
  /// Number of pairs.
  public var pairs: Int

  private enum CodingKeys: String, CodingKey {
    case bins
    case expectedCalibrationError = "expected_calibration_error"
    case brierScore = "brier_score"
    case logLoss = "log_loss"
    case baseRate = "base_rate"
    case pairs
  }

  /// Compares probabilities with outcomes.
  ///
  /// Bins are cut from the pairs in the order of their probabilities: a pair belongs to the bin in which the middle of its
  /// mass lies, and pairs of one probability to the bin of their first. All figures are 0 where there are no pairs.
  ///
  /// - Parameters:
  ///   - probabilities: from 0 to 1.
  ///   - weights: How much each pair counts, above 0; all the same where nil.
  ///   - bins: how many at most.
  /// - Precondition: the arrays have one length, and `bins` is at least 1.
  /// - Complexity: O(`pairs * log(pairs)`)
  public init(probabilities: [Double], outcomes: [Bool], weights: [Double]? = nil, bins: Int = 15) {
    let weights = weights ?? [Double](repeating: 1, count: probabilities.count)
    precondition(
      probabilities.count == outcomes.count && probabilities.count == weights.count && bins >= 1,
      "each probability has an outcome and a weight")
    let total = weights.reduce(0, +)
    let order = probabilities.indices.sorted { (probabilities[$0], $0) < (probabilities[$1], $1) }
    let same = probabilities.indices.reduce(0) { $0 + (outcomes[$1] ? weights[$1] / total : 0) }
    let areMixed = outcomes.contains(true) && outcomes.contains(false)
    var (before, squares, logarithms) = (0.0, 0.0, 0.0)
    var found: [Bin] = []
    var (current, last) = (-1, Double.nan)
    for i in order {
      let (p, weight, outcome) = (probabilities[i], weights[i] / total, outcomes[i] ? 1.0 : 0.0)
      squares += weight * (p - outcome) * (p - outcome)
      // A probability of 0 for what was so costs as much as 1e-15.
      logarithms -= weight * log(max(outcomes[i] ? p : 1 - p, 1e-15))
      let mass = areMixed ? weight / (2 * (outcomes[i] ? same : 1 - same)) : weight
      let bin = min(bins - 1, Int((before + mass / 2) * Double(bins)))
      before += mass
      if p != last, bin != current {
        current = bin
        found.append(Bin(probability: 0, observed: 0, share: 0, pairs: 0))
      }
      last = p
      found[found.count - 1].probability += weight * p
      found[found.count - 1].observed += weight * outcome
      found[found.count - 1].share += weight
      found[found.count - 1].pairs += 1
    }
    self.bins = found.map { bin in
      Bin(
        probability: bin.probability / bin.share, observed: bin.observed / bin.share, share: bin.share, pairs: bin.pairs
      )
    }
    expectedCalibrationError = self.bins.reduce(0) { $0 + $1.share * abs($1.observed - $1.probability) }
    brierScore = squares
    logLoss = logarithms
    baseRate = same
    pairs = probabilities.count
  }
}
