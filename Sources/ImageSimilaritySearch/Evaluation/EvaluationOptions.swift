import ImageSimilarityCore

/// What an evaluation measures.
public struct EvaluationOptions: Sendable, Hashable {
  /// The ranks k of P@k, R@k and NDCG@k, each at least 1. Those of 1 and 5 are always measured.
  public var ranks: [Int]
  /// How many times the queries are drawn again for the confidence intervals, up to 1,000,000; 0 for none.
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

  /// With those that are always measured, ascending, each once.
  static func sorted(_ ranks: [Int]) throws(SimilarityError) -> [Int] {
    if let wrong = ranks.first(where: { $0 < 1 }) {
      throw SimilarityError(.invalidArgument, "the first rank is 1, so nothing can be measured at rank \(wrong)")
    }
    return Set(ranks + [1, 5]).sorted()
  }

  func validate() throws(SimilarityError) {
    _ = try Self.sorted(ranks)
    guard (0...1_000_000).contains(resamples) else {
      throw SimilarityError(.invalidArgument, "expected 0 to 1000000 resamples, found \(resamples)")
    }
    guard confidence > 0, confidence < 1 else {
      throw SimilarityError(.invalidArgument, "expected a confidence between 0 and 1, found \(confidence)")
    }
  }
}
