import ImageSimilarityCore

/// The nearest rows that one query has met so far.
struct Shortlist {
  private struct Hit {
    var distance: Float
    var block: Int32
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
  mutating func offer(_ candidate: Float, block: Int, row: Int, of blocks: [LiveBlock]) {
    guard candidate <= distance else { return }
    hits.append(Hit(distance: candidate, block: Int32(block), row: Int32(row)))
    if hits.count == capacity { sortAndTruncate(blocks) }
  }

  mutating func neighbors(_ blocks: [LiveBlock]) -> [Neighbor] {
    sortAndTruncate(blocks)
    return hits.map { Neighbor(id: blocks[Int($0.block)].block.ids[Int($0.row)], distance: $0.distance) }
  }

  private mutating func sortAndTruncate(_ blocks: [LiveBlock]) {
    hits.sort { a, b in
      a.distance != b.distance
        ? a.distance < b.distance
        : blocks[Int(a.block)].block.ids[Int(a.row)] < blocks[Int(b.block)].block.ids[Int(b.row)]
    }
    guard hits.count >= k else { return }
    hits.removeSubrange(k...)
    distance = hits[k - 1].distance
  }
}
