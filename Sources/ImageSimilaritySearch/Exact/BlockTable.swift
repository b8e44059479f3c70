import ImageSimilarityCore

/// All blocks of an index, and where each id is.
struct BlockTable {
  struct Location {
    /// The block's number; numbers are never used again.
    var block: Int
    var row: Int
  }

  private var blocks: [Int: LiveBlock] = [:]
  private var nextBlock = 0
  /// Blocks that are still to be merged, from the largest to the smallest.
  private var small: [Int] = []
  private var locations: [String: Location] = [:]

  var count: Int { locations.count }
  var ids: [String] { Array(locations.keys) }
  func location(of id: String) -> Location? { locations[id] }

  func block(_ number: Int) -> VectorBlock { live(number).block }

  /// What a search looks at: unchanged by later calls.
  func snapshot() -> [LiveBlock] { Array(blocks.values) }

  mutating func upsert(_ block: VectorBlock) {
    let replaced = add(block)
    compact(replaced)
    mergeSmall()
  }

  mutating func remove(_ ids: [String]) -> Int {
    var touched: Set<Int> = []
    let before = count
    for id in ids {
      guard let location = locations.removeValue(forKey: id) else { continue }
      blocks[location.block]?.remove(location.row)
      touched.insert(location.block)
    }
    compact(touched)
    mergeSmall()
    return before - count
  }

  /// Adds a block, removes the rows that its ids had elsewhere, and returns the numbers of the blocks they were in.
  private mutating func add(_ block: VectorBlock) -> Set<Int> {
    let number = nextBlock
    nextBlock += 1
    blocks[number] = LiveBlock(block)
    if block.rows < VectorBlock.retainedRows { small.append(number) }
    var touched: Set<Int> = []
    for (row, id) in block.ids.enumerated() {
      guard let old = locations.updateValue(Location(block: number, row: row), forKey: id) else { continue }
      blocks[old.block]?.remove(old.row)
      touched.insert(old.block)
    }
    return touched
  }

  /// Rewrites those of `numbers` that are mostly removed.
  private mutating func compact(_ numbers: Set<Int>) {
    for number in numbers where live(number).liveRows * 2 < block(number).rows {
      replace([number])
    }
  }

  /// Merges as a binary counter carries: a row is copied O(log(mergedRows)) times, and few small blocks remain.
  private mutating func mergeSmall() {
    while small.count >= 2 {
      let last = live(small[small.count - 1]).liveRows
      let previous = live(small[small.count - 2]).liveRows
      guard last >= previous else { return }
      replace(Array(small.suffix(2)))
    }
  }

  /// Puts one block with the live rows of `numbers` in their place.
  private mutating func replace(_ numbers: [Int]) {
    let old = numbers.map(live)
    let merged = LiveBlock.merging(old)
    for number in numbers {
      blocks[number] = nil
      small.removeAll { $0 == number }
    }
    guard merged.rows > 0 else { return }
    let number = nextBlock
    nextBlock += 1
    blocks[number] = LiveBlock(merged)
    for (row, id) in merged.ids.enumerated() { locations[id] = Location(block: number, row: row) }
    if merged.rows < VectorBlock.mergedRows { small.append(number) }
  }

  private func live(_ number: Int) -> LiveBlock {
    guard let block = blocks[number] else { preconditionFailure("block \(number) is gone, but something refers to it") }
    return block
  }
}
