import ImageSimilarityCore

/// How well several models find the same images.
public struct RetrievalComparison: Sendable, Hashable, Codable {
  public struct Entry: Sendable, Hashable, Codable {
    /// What the caller calls it.
    public var name: String
    public var evaluation: RetrievalEvaluation
    /// The means over queries less those of the first entry; empty in the first.
    public var differences: [RetrievalMeasure: MeasureDifference]
    /// The same of the means over classes.
    public var macroDifferences: [RetrievalMeasure: MeasureDifference]

    private enum CodingKeys: String, CodingKey {
      case name, evaluation, differences
      case macroDifferences = "macro_differences"
    }
  }

  /// One a model, in the caller's order. All have the same images, classes and queries.
  public var entries: [Entry]
  /// Images that at least one of the models lacks, and that are not compared.
  public var notShared: Int

  private enum CodingKeys: String, CodingKey {
    case entries
    case notShared = "not_shared"
  }
}

extension RetrievalComparison {
  /// Compares the scores of models over the same images with those of the first.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the scores are not of the same queries, labels and
  /// measures, or an option is out of its range, and `CancellationError`.
  ///
  /// - Parameters:
  ///   - scores: of rows that stand for the same images in the same order.
  ///   - notShared: images that were left out because a model lacks them.
  public init(
    _ scores: [(name: String, scores: RetrievalScores)], notShared: Int = 0,
    options: EvaluationOptions = EvaluationOptions(), threads: Int = 1
  ) async throws {
    self.notShared = notShared
    entries = []
    guard let first = scores.first?.scores else { return }
    var firstMeans: ResampledMeans?
    for (name, scores) in scores {
      guard scores.hasSameQueries(as: first) else {
        throw SimilarityError(
          .invalidArgument, "'\(name)' has other images, labels, queries or measures than what it is compared with")
      }
      let resampled = try await ResampledMeans(scores, options, threads: threads)
      var entry = Entry(
        name: name, evaluation: try await RetrievalEvaluation(scores, resampled, options, threads: threads),
        differences: [:], macroDifferences: [:])
      if let firstMeans {
        let means = (scores.mean(over: scores.queries.indices), first.mean(over: first.queries.indices))
        let macro = (scores.macroMean(), first.macroMean())
        for (column, measure) in scores.measures.enumerated() {
          entry.differences[measure] = resampled.difference(
            (means.0[column], means.1[column]), at: column, of: scores.measures.count,
            (resampled.micro, firstMeans.micro))
          entry.macroDifferences[measure] = resampled.difference(
            (macro.0[column], macro.1[column]), at: column, of: scores.measures.count,
            (resampled.macro, firstMeans.macro))
        }
      } else {
        firstMeans = resampled
      }
      entries.append(entry)
    }
  }
}

extension RetrievalScores {
  fileprivate func hasSameQueries(as other: RetrievalScores) -> Bool {
    measures == other.measures && labels == other.labels && leftOut == other.leftOut
      && queries.elementsEqual(other.queries) { $0.row == $1.row && $0.relevant == $1.relevant }
  }
}
