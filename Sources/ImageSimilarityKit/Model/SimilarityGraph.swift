internal import ImageSimilarityCore
public import ImageSimilaritySearch

/// One picture of a model as a neighbour of another.
public struct GraphEdge: Sendable, Hashable, Codable {
  public var source: String
  public var target: String
  /// 1 for the nearest neighbour of `source`.
  public var rank: Int
  public var distance: Float
}

extension SimilarityModel {
  /// The neighbours of every picture of the model: an edge each, by ascending source, then by rank.
  ///
  /// - Parameters:
  ///   - k: At most so many neighbours a picture. Five where neither `k` nor `radius` is given.
  ///   - radius: Only neighbours at this distance or nearer.
  ///   - includeSelf: Whether a picture is a neighbour of itself.
  ///   - predicate: Only edges between pictures whose records match.
  /// - Complexity: O(images² * dimension) time; O(edges) memory.
  public func similarityGraph(
    k: Int? = nil, radius: Float? = nil, includeSelf: Bool = false, where predicate: RecordPredicate? = nil
  ) async throws -> [GraphEdge] {
    var edges: [GraphEdge] = []
    try await similarityGraph(k: k, radius: radius, includeSelf: includeSelf, where: predicate) { edges += $0 }
    return edges
  }

  /// Like ``similarityGraph(k:radius:includeSelf:where:)``, a part at a time, so that memory does not grow with the graph.
  ///
  /// - Parameter body: Called with all edges of some pictures, in order.
  public func similarityGraph(
    k: Int? = nil, radius: Float? = nil, includeSelf: Bool = false, where predicate: RecordPredicate? = nil,
    _ body: ([GraphEdge]) async throws -> Void
  ) async throws {
    let k = Self.hitCount(k, radius)
    try SearchRequest(k: k, radius: radius).validate(for: metric)
    // A picture is among its own neighbours; one more makes up for it.
    let request = SearchRequest(k: includeSelf ? k : k.map { $0 + 1 }, radius: radius)
    let ids = try predicate.map(ids(where:)) ?? self.ids
    let matching = predicate.map { _ in Set(ids) }
    for start in stride(from: 0, to: ids.count, by: Self.sourcesPerSearch) {
      try Task.checkCancellation()
      let sources = try ids[start..<min(start + Self.sourcesPerSearch, ids.count)].compactMap { id in
        try store.embedding(id).map { (id: id, embedding: $0) }
      }
      guard !sources.isEmpty else { continue }
      let matrix = EmbeddingMatrix(sources.map(\.embedding))
      let found =
        if let matching {
          try await index().search(matrix, request) { matching.contains($0) }
        } else {
          try await index().search(matrix, request)
        }
      try await body(
        zip(sources, found).flatMap { source, neighbors in
          Self.edges(from: source.id, neighbors, k: k, includeSelf: includeSelf)
        })
    }
  }

  private static let sourcesPerSearch = 512

  private static func edges(from source: String, _ neighbors: [Neighbor], k: Int?, includeSelf: Bool) -> [GraphEdge] {
    let wanted = includeSelf ? neighbors : neighbors.filter { $0.id != source }
    return wanted.prefix(k ?? .max).enumerated().map { position, neighbor in
      GraphEdge(source: source, target: neighbor.id, rank: position + 1, distance: neighbor.distance)
    }
  }
}
