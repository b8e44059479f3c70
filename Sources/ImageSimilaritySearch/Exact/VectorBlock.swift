import ImageSimilarityCore

/// Vectors that are stored together, and their ids. Immutable.
final class VectorBlock: Sendable {
  /// A matrix of so many rows becomes a block of its own.
  static let retainedRows = 256
  /// Smaller blocks are merged until they have so many rows.
  static let mergedRows = 1024

  let vectors: CodedVectors
  let ids: [String]

  var rows: Int { ids.count }

  init(_ vectors: CodedVectors, ids: [String]) {
    precondition(vectors.rows == ids.count, "each row of a block has an id")
    self.vectors = vectors
    self.ids = ids
  }
}

/// A block and the rows that were removed from it.
struct LiveBlock: VectorSource {
  let block: VectorBlock
  private(set) var liveRows: Int
  /// One a row; empty as long as nothing was removed.
  private var removed: [Bool] = []

  init(_ block: VectorBlock) {
    self.block = block
    liveRows = block.rows
  }

  var vectors: CodedVectors { block.vectors }
  func isLive(_ row: Int) -> Bool { removed.isEmpty || !removed[row] }
  func id(_ row: Int) -> String { block.ids[row] }
  /// Memory of the process is what was written to it.
  func verifyCodes() {}
  func verifyElements(ofRow row: Int) {}

  mutating func remove(_ row: Int) {
    if removed.isEmpty { removed = [Bool](repeating: false, count: block.rows) }
    precondition(!removed[row], "a row is removed once")
    removed[row] = true
    liveRows -= 1
  }

  /// The live rows of several blocks, in order, in a new one.
  static func merging(_ blocks: [LiveBlock]) -> VectorBlock {
    precondition(!blocks.isEmpty, "there is nothing to merge")
    let dimension = blocks[0].vectors.dimension
    let rows = blocks.reduce(0) { $0 + $1.liveRows }
    var values: [Float] = []
    var ids: [String] = []
    values.reserveCapacity(rows * dimension)
    for live in blocks {
      for row in 0..<live.block.rows where live.isLive(row) {
        values += live.vectors.elements.row(row, dimension: dimension)
        ids.append(live.block.ids[row])
      }
    }
    let matrix = EmbeddingMatrix(rows: rows, dimension: dimension, values: values)
    return VectorBlock(CodedVectors(encoding: matrix, as: blocks[0].vectors.elements.precision), ids: ids)
  }
}
