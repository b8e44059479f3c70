import ImageSimilarityCore

/// One search: queries, sources, and the loop over both.
///
/// The work is cut into parts of queries and, where these are few, into shares of the rows. Codes rule rows out
/// (see ``KeyBound``); those that remain are ranked by their fp64 distances (see ``Rankings``).
struct Scan: Sendable {
  /// Bytes of codes that stay in the cache while all queries of a part are compared with them.
  private static let bytesPerSlice = 512 << 10
  /// From so many queries a thread on, each thread takes queries of its own, which gives tighter limits than rows of its own.
  private static let queriesWorthAThread = 48
  private static let queriesPerPart = 504

  private let queries: EmbeddingMatrix
  private let coded: CodedVectors
  private let sources: [any VectorSource]
  private let metric: Metric
  private let request: SearchRequest
  private let filter: ExactSearch.Filter?

  /// - Parameter coded: the queries' codes.
  init(
    queries: EmbeddingMatrix, coded: CodedVectors, sources: [any VectorSource], metric: Metric, request: SearchRequest,
    filter: ExactSearch.Filter?
  ) {
    self.queries = queries
    self.coded = coded
    self.sources = sources
    self.metric = metric
    self.request = request
    self.filter = filter
  }

  /// Consecutive rows of a source.
  private struct Slice {
    var source: Int
    var rows: Range<Int>
  }

  /// Consecutive queries, and every `shares`-th slice.
  private struct Part {
    var queries: Range<Int>
    var share: Int
  }

  /// Rows that are scanned at a time.
  static func sliceRows(dimension: Int) -> Int {
    let panel = CodedVectors.rowsPerPanel
    let panels = bytesPerSlice / CodedVectors.bytesPerPanel(dimension: dimension)
    return max(2, min(panels & ~1, 64)) * panel
  }

  func run(threads: Int) async throws -> [[Neighbor]] {
    for source in sources { try source.verifyCodes() }
    let sliceRows = Self.sliceRows(dimension: queries.dimension)
    let slices = sources.enumerated().flatMap { index, source in
      stride(from: 0, to: source.vectors.rows, by: sliceRows).map {
        Slice(source: index, rows: $0..<min($0 + sliceRows, source.vectors.rows))
      }
    }
    let tile = ScanQueries.tileRows
    let splitsQueries = queries.rows >= Self.queriesWorthAThread * threads
    let perThread = splitsQueries ? (queries.rows + threads - 1) / threads : queries.rows
    let perPart = max(tile, min(Self.queriesPerPart, (perThread + tile - 1) / tile * tile))
    let starts = Array(stride(from: 0, to: queries.rows, by: perPart))
    let shares = splitsQueries ? 1 : max(1, min(threads, slices.count))
    let parts = starts.flatMap { start in
      (0..<shares).map { Part(queries: start..<min(start + perPart, queries.rows), share: $0) }
    }
    let workers = min(threads, parts.count)

    let found: [[[Neighbor]]]
    if workers <= 1 {
      found = try parts.map { try search($0, in: slices, sliceRows: sliceRows) }
    } else {
      found = try await withThrowingTaskGroup(of: [(Int, [[Neighbor]])].self) { group in
        for first in 0..<workers {
          group.addTask {
            try stride(from: first, to: parts.count, by: workers).map { index in
              let part = parts[index]
              let share = stride(from: part.share, to: slices.count, by: shares).map { slices[$0] }
              return (index, try search(part, in: share, sliceRows: sliceRows))
            }
          }
        }
        var found = [[[Neighbor]]](repeating: [], count: parts.count)
        for try await results in group {
          for (index, neighbors) in results { found[index] = neighbors }
        }
        return found
      }
    }
    if shares == 1 { return found.flatMap { $0 } }
    return stride(from: 0, to: parts.count, by: shares).flatMap { first in
      parts[first].queries.indices.map { query in
        let all = (first..<first + shares).flatMap { found[$0][query - parts[first].queries.lowerBound] }.sorted()
        return Array(all.prefix(request.k ?? all.count))
      }
    }
  }

  private func search(_ part: Part, in slices: [Slice], sliceRows: Int) throws -> [[Neighbor]] {
    let first = part.queries.lowerBound
    let tiles = ScanQueries(coded, rows: part.queries, metric: metric)
    let results = ScanResults(rows: sliceRows)
    let rankings = Rankings(count: part.queries.count, request, sources: sources, metric: metric) { i in
      Rankings.Query(elements: queries[first + i], squaredNorm: coded.squaredNorms[first + i])
    }
    var products = ProductScan(queries, rows: part.queries, coded: coded, metric: metric, sliceRows: sliceRows)
    for slice in slices {
      try Task.checkCancellation()
      let source = sources[slice.source]
      let consider = { (query: Int, row: Int, key: Float) in
        guard !(key > rankings.limits[query]), source.isLive(row) else { return }
        if let filter, try !filter(slice.source, row) { return }
        try rankings.offer(query, key: key, source: slice.source, row: row)
      }
      if products != nil {
        for row in slice.rows { try source.verifyElements(ofRow: row) }
        try products?.scan(source.vectors, rows: slice.rows, limit: { rankings.limits[$0] }, consider)
        continue
      }
      for start in stride(from: 0, to: tiles.count, by: ScanQueries.tileRows) {
        let tile = start..<min(start + ScanQueries.tileRows, tiles.count)
        tiles.scan(tile, source.vectors, rows: slice.rows, limits: rankings.limits[...], into: results)
        for (i, query) in tile.enumerated() {
          for n in 0..<results.count(i) {
            let found = results[i, n, scanned: slice.rows.count]
            try consider(query, slice.rows.lowerBound + found.row, found.key)
          }
        }
      }
    }
    return try part.queries.indices.map { try rankings.finish($0 - first) }
  }
}
