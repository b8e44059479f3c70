import ImageSimilarityCore

/// Vectors that are stored, and what each scan needs to know about them. Immutable.
final class VectorBlock: Sendable {
  /// A matrix of so many rows becomes a block without being copied.
  static let retainedRows = 256
  /// Smaller blocks are merged until they have so many rows.
  static let mergedRows = 1024

  /// `[rows, dimension]`
  let matrix: EmbeddingMatrix
  let ids: [String]
  /// In fp64, one a row.
  let squaredNorms: [Double]
  /// `offsets[row] + scales[row] * (query . row)` is the row's key (see ``RoundingBound``); NaN for the rows in
  /// ``unbounded``.
  let scales: [Float]
  let offsets: [Float]
  /// Rows that no fp32 product can rule out.
  let unbounded: [Int]

  var rows: Int { ids.count }

  init(matrix: EmbeddingMatrix, ids: [String], squaredNorms: [Double], metric: Metric) {
    precondition(
      matrix.rows == ids.count && squaredNorms.count == ids.count, "each row of a block has an id and a norm")
    self.matrix = matrix
    self.ids = ids
    self.squaredNorms = squaredNorms
    let bound = RoundingBound(dimension: matrix.dimension, metric: metric)
    scales = squaredNorms.map { RoundingBound.covers($0) ? bound.scale(squaredNorm: $0) : .nan }
    offsets = squaredNorms.map { RoundingBound.covers($0) ? bound.offset(squaredNorm: $0) : .nan }
    unbounded = squaredNorms.indices.filter { !RoundingBound.covers(squaredNorms[$0]) }
  }
}

/// A block and the rows that were removed from it.
struct LiveBlock: Sendable {
  let block: VectorBlock
  private(set) var liveRows: Int
  /// One a row; empty as long as nothing was removed.
  private var removed: [Bool] = []

  init(_ block: VectorBlock) {
    self.block = block
    liveRows = block.rows
  }

  func isLive(_ row: Int) -> Bool { removed.isEmpty || !removed[row] }

  mutating func remove(_ row: Int) {
    if removed.isEmpty { removed = [Bool](repeating: false, count: block.rows) }
    precondition(!removed[row], "a row is removed once")
    removed[row] = true
    liveRows -= 1
  }

  /// The live rows of several blocks, in order, in a new one.
  static func merging(_ blocks: [LiveBlock], metric: Metric) -> VectorBlock {
    precondition(!blocks.isEmpty, "there is nothing to merge")
    let dimension = blocks[0].block.matrix.dimension
    let rows = blocks.reduce(0) { $0 + $1.liveRows }
    var values: [Float] = []
    var ids: [String] = []
    var norms: [Double] = []
    values.reserveCapacity(rows * dimension)
    for live in blocks {
      let block = live.block
      for row in 0..<block.rows where live.isLive(row) {
        values.append(contentsOf: block.matrix[row])
        ids.append(block.ids[row])
        norms.append(block.squaredNorms[row])
      }
    }
    let matrix = EmbeddingMatrix(rows: rows, dimension: dimension, values: values)
    return VectorBlock(matrix: matrix, ids: ids, squaredNorms: norms, metric: metric)
  }
}
