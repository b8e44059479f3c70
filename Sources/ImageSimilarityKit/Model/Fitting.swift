internal import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension SimilarityModel {
  /// Learns from labels which differences between pictures matter, and searches accordingly from now on, in one commit.
  ///
  /// What is learnt is a ``ImageSimilaritySearch/LearnedProjection``: the model's ``fingerprint`` changes, and with it all
  /// distances; queries, graphs, evaluations and exports are of the projected embeddings, which are shorter. The extractor's embeddings stay:
  /// pictures can be added, the model can be fitted again, and ``undoFit()`` goes back.
  ///
  /// - Parameters:
  ///   - labels: Pictures may have several, and those without one may be missing; ``labels()`` where nil.
  ///   - predicate: Learns only from pictures whose records match.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there is too little to learn from.
  /// - Complexity: see ``ImageSimilaritySearch/ProjectionFit``; then all embeddings are projected.
  @discardableResult
  public func fit(
    labels: PictureLabels? = nil, where predicate: RecordPredicate? = nil,
    options: FitOptions = FitOptions()
  ) async throws -> FitReport {
    try await writing.take { [self] in
      let labels = try labels ?? self.labels()
      let rows = try rawRows()
      var embeddings: [Float] = []
      var classes: [[String]] = []
      for part in rows.parts {
        let records = try rows.records(part)
        let values = try rows.embeddings(part)
        for (row, record) in records.enumerated() where predicate?.matches(record) ?? true {
          embeddings += values[row]
          classes.append(labels.byID[record.id] ?? [])
        }
      }
      guard !classes.isEmpty else {
        throw SimilarityError(.invalidArgument, "\(url.path) holds no pictures to learn from")
      }
      let matrix = EmbeddingMatrix(rows: classes.count, dimension: rows.dimension, values: embeddings)
      let (projection, report) = try await ProjectionFit.fit(
        matrix, labels: classes, options: options, threads: threads)
      try store.beginWriting()
      defer { store.close() }
      try store.setProjection(projection)
      return report
    }
  }

  /// Goes back to what was searched before the last ``fit(labels:where:options:)``, in one commit; false where
  /// there is nothing to go back to.
  ///
  /// - Complexity: all embeddings are projected again, if there was a projection before.
  @discardableResult
  public func undoFit() async throws -> Bool {
    try await writing.take { [self] in
      try store.beginWriting()
      defer { store.close() }
      return try store.restoreProjection()
    }
  }

  /// Searches the extractor's embeddings as they are from now on, and forgets what was learnt.
  public func removeFit() async throws {
    try await writing.take { [self] in
      try store.beginWriting()
      defer { store.close() }
      try store.setProjection(nil)
    }
  }

  /// What embeddings go through before they are compared; nil where they are compared as they are.
  public var projection: LearnedProjection? { get throws(SimilarityError) { try store.projection } }
}
