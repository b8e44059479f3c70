import ImageSimilarityCore

/// One search: queries, blocks, and the loop over both.
///
/// The work is cut into tiles of queries and, where these are fewer than threads, into shares of the rows. A tile of few
/// queries is limited by memory, and computes every distance in fp64 straight away. A larger tile lets fp32 matrix
/// products rule out rows, and computes in fp64 those that remain.
struct Scan: Sendable {
  /// From so many queries on, a matrix product and a second look are faster than fp64.
  private static let queriesWorthAProduct = 8
  private static let queriesPerTile = 256
  /// Rows of one matrix product: with a tile of queries, 2 MiB of products.
  private static let rowsPerProduct = 2048
  /// Rows after which the limit is brought up to date.
  private static let rowsPerStep = 128

  private let queries: EmbeddingMatrix
  private let squaredNorms: [Double]
  private let blocks: [LiveBlock]
  private let metric: Metric
  private let request: SearchRequest
  private let bound: RoundingBound

  init(
    queries: EmbeddingMatrix, squaredNorms: [Double], blocks: [LiveBlock], metric: Metric, request: SearchRequest
  ) {
    self.queries = queries
    self.squaredNorms = squaredNorms
    self.blocks = blocks
    self.metric = metric
    self.request = request
    bound = RoundingBound(dimension: queries.dimension, metric: metric)
  }

  /// Consecutive rows of a block.
  private struct Slice {
    var block: Int
    var rows: Range<Int>
  }

  /// Consecutive queries, and every `shares`-th slice.
  private struct Tile {
    var queries: Range<Int>
    var share: Int
  }

  func run(threads: Int) async throws -> [[Neighbor]] {
    let slices = blocks.enumerated().flatMap { index, live in
      stride(from: 0, to: live.block.rows, by: Self.rowsPerProduct).map {
        Slice(block: index, rows: $0..<min($0 + Self.rowsPerProduct, live.block.rows))
      }
    }
    // Smaller tiles where they keep all threads busy.
    let perTile = max(1, min(Self.queriesPerTile, (queries.rows + threads - 1) / threads))
    let starts = Array(stride(from: 0, to: queries.rows, by: perTile))
    let shares = starts.count >= threads ? 1 : max(1, min(threads / max(1, starts.count), slices.count))
    let tiles = starts.flatMap { start in
      (0..<shares).map { Tile(queries: start..<min(start + perTile, queries.rows), share: $0) }
    }

    let found = try await withThrowingTaskGroup(of: [(Int, [[Neighbor]])].self) { group in
      let workers = min(threads, tiles.count)
      for worker in 0..<workers {
        group.addTask {
          var scratch = Scratch()
          return try stride(from: worker, to: tiles.count, by: workers).map { index in
            let tile = tiles[index]
            let share = stride(from: tile.share, to: slices.count, by: shares).map { slices[$0] }
            return (index, try search(tile.queries, in: share, using: &scratch))
          }
        }
      }
      var found = [[[Neighbor]]](repeating: [], count: tiles.count)
      for try await part in group {
        for (index, neighbors) in part { found[index] = neighbors }
      }
      return found
    }
    if shares == 1 { return found.flatMap { $0 } }
    return stride(from: 0, to: tiles.count, by: shares).flatMap { first in
      tiles[first].queries.indices.map { offset in
        let all = (first..<first + shares).flatMap { found[$0][offset - tiles[first].queries.lowerBound] }.sorted()
        return Array(all.prefix(request.k ?? all.count))
      }
    }
  }

  /// A worker's memory.
  private struct Scratch {
    var products: [Float] = []
    var selected = [UInt32](repeating: 0, count: Scan.rowsPerStep)
    var work = [Double](repeating: 0, count: Scan.rowsPerStep)
    var distances = [Float](repeating: 0, count: Scan.rowsPerStep)
  }

  private func search(
    _ tile: Range<Int>, in slices: [Slice], using scratch: inout Scratch
  ) throws -> [[Neighbor]] {
    var shortlists = [Shortlist](repeating: Shortlist(request), count: tile.count)
    let usesProducts = metric != .innerProduct && tile.count >= Self.queriesWorthAProduct && bound.gamma.isFinite
    if usesProducts, scratch.products.isEmpty {
      scratch.products = [Float](repeating: 0, count: Self.queriesPerTile * Self.rowsPerProduct)
    }
    for slice in slices {
      try Task.checkCancellation()
      let block = blocks[slice.block].block
      if usesProducts {
        multiply(queries, rows: tile, block.matrix, rows: slice.rows, into: &scratch.products)
        for (i, query) in tile.enumerated() where RoundingBound.covers(squaredNorms[query]) {
          rerank(
            slice, query: query, products: i * slice.rows.count, shortlist: &shortlists[i], using: &scratch)
        }
      }
      // By steps, so that a step's rows are still in the cache for the next query.
      for start in stride(from: slice.rows.lowerBound, to: slice.rows.upperBound, by: Self.rowsPerStep) {
        let rows = start..<min(start + Self.rowsPerStep, slice.rows.upperBound)
        for (i, query) in tile.enumerated() where !usesProducts || !RoundingBound.covers(squaredNorms[query]) {
          compare(rows, of: slice.block, query: query, shortlist: &shortlists[i], using: &scratch)
        }
      }
    }
    return shortlists.indices.map { shortlists[$0].neighbors(blocks) }
  }

  /// Offers those rows of a slice whose products, `slice.rows.count` from `products` on, do not rule them out.
  private func rerank(
    _ slice: Slice, query: Int, products: Int, shortlist: inout Shortlist, using scratch: inout Scratch
  ) {
    let block = blocks[slice.block].block
    for start in stride(from: slice.rows.lowerBound, to: slice.rows.upperBound, by: Self.rowsPerStep) {
      let rows = start..<min(start + Self.rowsPerStep, slice.rows.upperBound)
      let limit = bound.limit(distance: shortlist.distance, squaredNorm: squaredNorms[query])
      let count = select(
        products: scratch.products, start: products + start - slice.rows.lowerBound, scales: block.scales,
        offsets: block.offsets, rows: rows, limit: limit, into: &scratch.selected)
      for i in 0..<count {
        let row = start + Int(scratch.selected[i])
        compare(row..<row + 1, of: slice.block, query: query, shortlist: &shortlist, using: &scratch)
      }
    }
    for row in block.unbounded where slice.rows.contains(row) {
      compare(row..<row + 1, of: slice.block, query: query, shortlist: &shortlist, using: &scratch)
    }
  }

  /// Offers the live ones of `rows`, at most ``rowsPerStep``, at their fp64 distances.
  private func compare(
    _ rows: Range<Int>, of index: Int, query: Int, shortlist: inout Shortlist, using scratch: inout Scratch
  ) {
    let live = blocks[index]
    if rows.count == 1, !live.isLive(rows.lowerBound) { return }
    live.block.matrix.distances(
      ofRows: rows, squaredNorms: live.block.squaredNorms, to: query, of: queries, squaredNorm: squaredNorms[query],
      metric: metric, work: &scratch.work, into: &scratch.distances)
    for (i, row) in rows.enumerated() where live.isLive(row) {
      shortlist.offer(scratch.distances[i], block: index, row: row, of: blocks)
    }
  }
}
