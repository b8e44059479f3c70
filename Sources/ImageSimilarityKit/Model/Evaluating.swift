internal import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Which pictures an evaluation is about. A picture's labels are the texts of the array `labels` in its metadata, or else its
/// label, or else the name of the folder that holds it; one without any of these is nothing but in the way of others. Pictures that
/// have a label in common are relevant to each other.
public struct EvaluatedSubset: Sendable, Hashable {
  /// The pictures that take part at all; all where nil. A half of a collection is evaluated as if it were all of it.
  public var included: RecordPredicate?
  /// Those of them that are queries; all where nil.
  public var queries: RecordPredicate?
  /// Those of them that are ranked; all where nil.
  public var ranked: RecordPredicate?

  public init(_ included: RecordPredicate? = nil, queries: RecordPredicate? = nil, ranked: RecordPredicate? = nil) {
    self.included = included
    self.queries = queries
    self.ranked = ranked
  }
}

/// One of the models of a comparison.
public struct EvaluatedModel: Sendable {
  /// What the comparison calls it.
  public var name: String
  public var model: SimilarityModel
  /// Whether to take the extractor's embeddings, where the model has a learnt projection.
  public var isRaw: Bool

  public init(_ model: SimilarityModel, name: String, isRaw: Bool = false) {
    self.name = name
    self.model = model
    self.isRaw = isRaw
  }
}

extension SimilarityModel {
  /// How well pictures with the same label are found: every picture in turn is the query, all others are ranked.
  ///
  /// - Parameters:
  ///   - subset: which pictures take part, as queries or in the ranking. Their labels are described there.
  ///   - isRaw: whether to take the extractor's embeddings, where the model has a learnt projection.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where no picture takes part or an option is out of its
  ///   range, and `CancellationError`.
  /// - Complexity: O(images² * (dimension + log(images))) time; memory for all embeddings.
  public func evaluate(
    _ options: EvaluationOptions = EvaluationOptions(), of subset: EvaluatedSubset = EvaluatedSubset(),
    isRaw: Bool = false
  ) async throws -> RetrievalEvaluation {
    let (_, scores) = try await retrievalScores(ranks: options.ranks, of: subset, isRaw: isRaw)
    return try await RetrievalEvaluation(scores, options: options, threads: threads)
  }

  /// How good the ranking is that each picture gives: what ``evaluate(_:of:isRaw:)`` sums up. The parameters, errors and cost are
  /// the same.
  ///
  /// - Parameter ranks: the k of P@k, R@k and NDCG@k. Those of 1 and 5 are always measured.
  /// - Returns: the records of the pictures that take part, by ascending id, and the scores, whose rows are these.
  public func retrievalScores(
    ranks: [Int] = EvaluationOptions().ranks, of subset: EvaluatedSubset = EvaluatedSubset(), isRaw: Bool = false
  ) async throws -> (records: [ImageRecord], scores: RetrievalScores) {
    var pictures = try EvaluatedPictures(self, isRaw: isRaw) { subset.included?.matches($0) ?? true }
    guard !pictures.records.isEmpty else {
      let which = subset.included.map { " that match \($0)" } ?? ""
      throw SimilarityError(.invalidArgument, "\(url.path) holds no pictures\(which) to evaluate")
    }
    let scores = try await pictures.takeScores(as: pictures.records, subset, ranks: ranks, self)
    return (pictures.records, scores)
  }

  /// Compares models over the pictures, by their ids, that all of them hold.
  ///
  /// A picture's labels are those of the first model that knows some, or else the name of its folder in the first model. The
  /// conditions of `subset` are about the record in the first model, with these labels. All models draw the same queries for
  /// the intervals of the differences, and are measured in their own metrics.
  ///
  /// - Parameter subset: which pictures take part, as queries or in the ranking.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where no picture is in all models and takes part or an
  ///   option is out of its range, and `CancellationError`.
  /// - Complexity: that of ``evaluate(_:of:isRaw:)`` for each model; memory for all embeddings of one of them.
  public static func compare(
    _ models: [EvaluatedModel], _ options: EvaluationOptions = EvaluationOptions(),
    of subset: EvaluatedSubset = EvaluatedSubset()
  ) async throws -> RetrievalComparison {
    guard let first = models.first else { return try await RetrievalComparison([]) }
    var shared = Set(try first.model.ids)
    var all = shared
    for other in models.dropFirst() {
      let ids = try other.model.ids
      shared.formIntersection(ids)
      all.formUnion(ids)
    }
    let records = try sharedRecords(models.map(\.model), shared).filter { subset.included?.matches($0) ?? true }
    guard !records.isEmpty else {
      let which = subset.included.map { " that matches \($0)" } ?? ""
      let names = models.map(\.model.url.path).joined(separator: ", ")
      throw SimilarityError(.invalidArgument, "no picture\(which) has the same id in each of \(names)")
    }
    let chosen = Set(records.map(\.id))
    var scores: [(name: String, scores: RetrievalScores)] = []
    for entry in models {
      var pictures = try EvaluatedPictures(entry.model, isRaw: entry.isRaw) { chosen.contains($0.id) }
      guard pictures.records.count == records.count else {
        throw SimilarityError(.invalidArgument, "\(entry.model.url.path) was changed while it was compared")
      }
      let found = try await pictures.takeScores(as: records, subset, ranks: options.ranks, entry.model)
      scores.append((entry.name, found))
    }
    return try await RetrievalComparison(
      scores, notShared: all.count - shared.count, options: options, threads: first.model.threads)
  }

  /// The records of the first model, by ascending id, with the labels of the first that has some.
  private static func sharedRecords(_ models: [SimilarityModel], _ shared: Set<String>) throws -> [ImageRecord] {
    try shared.sorted().compactMap { id in
      guard var record = try models[0].record(id) else { return nil }
      for other in models.dropFirst() where record.givenLabels == nil {
        guard let found = try other.record(id) else { continue }
        record.label = found.label
        if let labels = found.metadata?["labels"] {
          record.metadata = (record.metadata ?? [:]).merging(["labels": labels]) { $1 }
        }
      }
      return record
    }
  }
}

/// The pictures of a model that take part in an evaluation, by ascending id.
private struct EvaluatedPictures {
  private(set) var records: [ImageRecord] = []
  /// Row after row; empty once they were taken.
  private var values: [Float] = []
  private let dimension: Int

  init(_ model: SimilarityModel, isRaw: Bool, where isIncluded: (ImageRecord) -> Bool) throws(SimilarityError) {
    let rows = try isRaw ? model.rawRows() : model.orderedRows()
    dimension = rows.dimension
    for part in rows.parts {
      let found = try rows.records(part)
      let embeddings = try rows.embeddings(part)
      for (row, record) in found.enumerated() where isIncluded(record) {
        records.append(record)
        values += embeddings[row]
      }
    }
  }

  /// - Parameter records: what is known about the pictures, in the same order.
  mutating func takeScores(
    as records: [ImageRecord], _ subset: EvaluatedSubset, ranks: [Int], _ model: SimilarityModel
  ) async throws -> RetrievalScores {
    let embeddings = EmbeddingMatrix(rows: records.count, dimension: dimension, values: values)
    values = []
    return try await RetrievalScores(
      leaveOneOut: embeddings, labelSets: records.map(\.labels),
      isQuery: subset.queries.map { predicate in records.map(predicate.matches) },
      isRanked: subset.ranked.map { predicate in records.map(predicate.matches) },
      metric: model.metric, ranks: ranks, threads: model.threads)
  }
}
