/// What an evaluation measures.
public struct EvaluationOptions: Sendable, Hashable {
  /// The ranks k of P@k, R@k and NDCG@k, each at least 1. Those of 1 and 5 are always measured.
  public var ranks: [Int]
  /// How many times the queries are drawn again for the confidence intervals; 0 for none.
  public var resamples: Int
  /// Where the random numbers of the bootstrap begin: the same seed gives the same intervals.
  public var seed: UInt64
  /// The confidence of the intervals, between 0 and 1.
  public var confidence: Double

  public init(ranks: [Int] = [1, 5, 10, 20], resamples: Int = 1000, seed: UInt64 = 0, confidence: Double = 0.95) {
    self.ranks = ranks
    self.resamples = resamples
    self.seed = seed
    self.confidence = confidence
  }
}
