package import ImageSimilarityCore

/// Searches over rows as they are at one moment, wherever they are kept. See ``ExactIndex`` for what the answers are.
package struct ExactSearch: Sendable {
  /// Whether a row of a source, which is named by its number, may be a hit.
  package typealias Filter = @Sendable (_ source: Int, _ row: Int) throws -> Bool

  private let sources: [any VectorSource]
  private let dimension: Int
  private let metric: Metric
  private let threads: Int

  /// - Parameter sources: rows with unique ids, in vectors of `dimension` elements.
  package init(_ sources: [any VectorSource], dimension: Int, metric: Metric, threads: Int) {
    precondition(
      sources.allSatisfy { $0.vectors.dimension == dimension }, "a search is over vectors of one dimension")
    self.sources = sources
    self.dimension = dimension
    self.metric = metric
    self.threads = threads
  }

  package func search(
    _ queries: EmbeddingMatrix, _ request: SearchRequest, where filter: Filter? = nil
  ) async throws -> [[Neighbor]] {
    try request.validate(for: metric)
    try queries.requireDimension(dimension)
    let coded = CodedVectors(encoding: queries)
    try coded.requireFinite(what: "the query") { "\($0)" }
    let scan = Scan(
      queries: queries, coded: coded, sources: sources, metric: metric, request: request, filter: filter)
    return try await scan.run(threads: threads)
  }

  package func neighborGraph(
    _ request: SearchRequest, includesSelf: Bool
  ) async throws -> [(id: String, neighbors: [Neighbor])] {
    try request.validate(for: metric)
    let scan = AllPairsScan(sources: sources, metric: metric, request: request, includesSelf: includesSelf)
    return try await scan.run(threads: threads).sorted { $0.id < $1.id }
  }
}

extension EmbeddingMatrix {
  func requireDimension(_ expected: Int) throws(SimilarityError) {
    guard dimension == expected else {
      throw SimilarityError(
        .dimensionMismatch, "the index holds vectors of \(expected) elements, not of \(dimension)")
    }
  }
}

extension CodedVectors {
  func requireFinite(what: String, name: (Int) -> String) throws(SimilarityError) {
    // A sum of squares of floats cannot overflow a double, so it is finite exactly when all elements are.
    guard let row = (0..<rows).first(where: { !squaredNorms[$0].isFinite }) else { return }
    let limit = elements.precision == .fp16 ? ", or above 65504, the largest number in fp16" : ""
    throw SimilarityError(
      .notFinite, "\(what) in row \(name(row)) has an element that is NaN or infinite\(limit)")
  }
}
