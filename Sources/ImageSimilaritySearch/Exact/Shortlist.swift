import ImageSimilarityCore

/// The nearest rows that one query has met so far.
struct Shortlist {
  struct Hit {
    var distance: Float
    var source: Int32
    var row: Int32
  }

  private let k: Int
  /// Room for more than `k` hits, so that not every hit leads to sorting.
  private let capacity: Int
  /// Rows farther away than this are not among the answers: the radius, or the k-th distance where that is less.
  private(set) var distance: Float
  private var hits: [Hit] = []

  init(_ request: SearchRequest) {
    k = request.k ?? .max
    capacity = k < Int.max / 2 ? k + k / 2 + 16 : .max
    distance = request.radius ?? .infinity
  }

  /// - Complexity: O(log(k)), amortised.
  mutating func offer(
    _ candidate: Float, source: Int, row: Int, of sources: [any VectorSource]
  ) throws(SimilarityError) {
    guard candidate <= distance else { return }
    hits.append(Hit(distance: candidate, source: Int32(source), row: Int32(row)))
    if hits.count == capacity { try sortAndTruncate(sources) }
  }

  /// Brings ``distance`` up to date.
  mutating func settle(_ sources: [any VectorSource]) throws(SimilarityError) {
    if hits.count >= k { try sortAndTruncate(sources) }
  }

  /// The hits, the nearest first.
  mutating func neighbors(_ sources: [any VectorSource]) throws(SimilarityError) -> [Neighbor] {
    try sortAndTruncate(sources)
    var neighbors: [Neighbor] = []
    neighbors.reserveCapacity(hits.count)
    for hit in hits { neighbors.append(Neighbor(id: try id(hit, sources), distance: hit.distance)) }
    return neighbors
  }

  private func id(_ hit: Hit, _ sources: [any VectorSource]) throws(SimilarityError) -> String {
    try sources[Int(hit.source)].id(Int(hit.row))
  }

  private mutating func sortAndTruncate(_ sources: [any VectorSource]) throws(SimilarityError) {
    hits.sort { $0.distance < $1.distance }
    // Ids decide only among equals.
    var start = 0
    while start < min(hits.count, k) {
      var end = start + 1
      while end < hits.count, hits[end].distance == hits[start].distance { end += 1 }
      if end - start > 1 {
        var named: [(id: String, hit: Hit)] = []
        for hit in hits[start..<end] { named.append((try id(hit, sources), hit)) }
        named.sort { $0.id < $1.id }
        hits.replaceSubrange(start..<end, with: named.map(\.hit))
      }
      start = end
    }
    guard hits.count >= k else { return }
    hits.removeSubrange(k...)
    distance = hits[k - 1].distance
  }
}
