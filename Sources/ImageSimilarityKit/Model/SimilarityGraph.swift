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

  /// Like ``similarityGraph(k:radius:includeSelf:where:)``, a part at a time. Memory does not grow with the graph, but for a few
  /// hundred bytes a picture in models of up to 262,144.
  ///
  /// - Parameter body: Called with all edges of some pictures, in order.
  public func similarityGraph(
    k: Int? = nil, radius: Float? = nil, includeSelf: Bool = false, where predicate: RecordPredicate? = nil,
    _ body: ([GraphEdge]) async throws -> Void
  ) async throws {
    let k = Self.hitCount(k, radius)
    try SearchRequest(k: k, radius: radius).validate(for: metric)
    var rows: [any VectorSource] = store.segments
    if let predicate {
      rows = try store.segments.map { segment in
        try ChosenRows(of: segment) { row throws(SimilarityError) in predicate.matches(try segment.record(row)) }
      }
    }
    if let k, store.count <= Self.symmetricCount {
      let graph = try await search(rows).neighborGraph(
        SearchRequest(k: k, radius: radius), includesSelf: includeSelf)
      for start in stride(from: 0, to: graph.count, by: Self.sourcesPerPart) {
        try await body(
          graph[start..<min(start + Self.sourcesPerPart, graph.count)].flatMap { Self.edges(from: $0.id, $0.neighbors) }
        )
      }
      return
    }
    // A picture is among its own neighbours; one more makes up for it.
    let request = SearchRequest(k: includeSelf ? k : k.map { $0 + 1 }, radius: radius)
    let ids = try predicate.map(ids(where:)) ?? self.ids
    for start in stride(from: 0, to: ids.count, by: Self.sourcesPerPart) {
      try Task.checkCancellation()
      let sources = try ids[start..<min(start + Self.sourcesPerPart, ids.count)].compactMap { id in
        try store.searchedVector(id).map { (id: id, embedding: $0) }
      }
      guard !sources.isEmpty else { continue }
      let found = try await search(rows).search(EmbeddingMatrix(sources.map(\.embedding)), request)
      try await body(
        zip(sources, found).flatMap { source, neighbors in
          let wanted = includeSelf ? neighbors : neighbors.filter { $0.id != source.id }
          return Self.edges(from: source.id, Array(wanted.prefix(k ?? .max)))
        })
    }
  }

  private static let sourcesPerPart = 512
  /// Of so many pictures, the neighbours of all are kept in memory, so that each pair need be looked at only once.
  private static let symmetricCount = 1 << 18

  private static func edges(from source: String, _ neighbors: [Neighbor]) -> [GraphEdge] {
    neighbors.enumerated().map { position, neighbor in
      GraphEdge(source: source, target: neighbor.id, rank: position + 1, distance: neighbor.distance)
    }
  }
}
