import ImageSimilarityCore

/// One search: queries, sources, and the loop over both.
///
/// The work is cut into parts of queries and, where these are few, into shares of the rows. Codes rule rows out
/// (see ``KeyBound``); those that remain wait in a list per query until there are enough of them, and are then compared in
/// fp64, the most promising first, which brings the limit down for the rest.
struct Scan: Sendable {
  typealias Filter = @Sendable (String) throws -> Bool

  /// Bytes of codes that stay in the cache while all queries of a part are compared with them.
  private static let bytesPerSlice = 256 << 10
  /// From so many queries a thread on, each thread takes queries of its own, which gives tighter limits than rows of its own.
  private static let queriesWorthAThread = 48
  private static let queriesPerPart = 504

  private let queries: ScanQueries
  private let sources: [any VectorSource]
  private let request: SearchRequest
  private let filter: Filter?

  init(queries: ScanQueries, sources: [any VectorSource], request: SearchRequest, filter: Filter?) {
    self.queries = queries
    self.sources = sources
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
  private static func sliceRows(dimension: Int) -> Int {
    let panel = CodedVectors.rowsPerPanel
    let panels = bytesPerSlice / CodedVectors.bytesPerPanel(dimension: dimension)
    return max(2, min(panels & ~1, 64)) * panel
  }

  func run(threads: Int) async throws -> [[Neighbor]] {
    let sliceRows = Self.sliceRows(dimension: queries.coded.dimension)
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
      var worker = Worker(self, sliceRows: sliceRows)
      found = try parts.map { try worker.search($0, in: slices) }
    } else {
      found = try await withThrowingTaskGroup(of: [(Int, [[Neighbor]])].self) { group in
        for first in 0..<workers {
          group.addTask {
            var worker = Worker(self, sliceRows: sliceRows)
            return try stride(from: first, to: parts.count, by: workers).map { index in
              let part = parts[index]
              let share = stride(from: part.share, to: slices.count, by: shares).map { slices[$0] }
              return (index, try worker.search(part, in: share))
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

  /// One thread's work.
  private struct Worker {
    /// A row that its key does not rule out.
    private struct Candidate {
      var key: Float
      var source: Int32
      var row: UInt32
    }

    /// Candidates that wait at most; comparing fewer at a time would bring the limit down no faster.
    private static let waiting = 256
    /// Candidates that are compared at a time.
    private static let compared = 8

    private let scan: Scan
    private let results: ScanResults
    /// One a query of the whole search.
    private var limits: [Float]
    private var scratch = DistanceScratch()
    private var rows: [UInt32] = []

    init(_ scan: Scan, sliceRows: Int) {
      self.scan = scan
      results = ScanResults(rows: sliceRows)
      limits = [Float](repeating: 0, count: scan.queries.rows)
    }

    mutating func search(_ part: Part, in slices: [Slice]) throws -> [[Neighbor]] {
      let first = part.queries.lowerBound
      var shortlists = [Shortlist](repeating: Shortlist(scan.request), count: part.queries.count)
      var candidates = [[Candidate]](repeating: [], count: part.queries.count)
      for query in part.queries {
        limits[query] = scan.queries.bound.limit(distance: shortlists[query - first].distance)
      }
      for slice in slices {
        try Task.checkCancellation()
        let source = scan.sources[slice.source]
        for start in stride(from: first, to: part.queries.upperBound, by: ScanQueries.tileRows) {
          let tile = start..<min(start + ScanQueries.tileRows, part.queries.upperBound)
          scan.queries.scan(tile, source.vectors, rows: slice.rows, limits: limits, into: results)
          for (i, query) in tile.enumerated() where results.count(i) > 0 {
            for n in 0..<results.count(i) {
              let found = results[i, n, scanned: slice.rows.count]
              let row = slice.rows.lowerBound + found.row
              guard !(found.key > limits[query]), source.isLive(row) else { continue }
              if let filter = scan.filter, try !filter(source.id(row)) { continue }
              candidates[query - first].append(
                Candidate(key: found.key, source: Int32(slice.source), row: UInt32(row)))
              if candidates[query - first].count == Self.waiting {
                try compare(&candidates[query - first], query, &shortlists[query - first])
              }
            }
          }
        }
      }
      return try part.queries.map { query in
        try compare(&candidates[query - first], query, &shortlists[query - first])
        return try shortlists[query - first].neighbors(scan.sources)
      }
    }

    /// Offers all candidates that the falling limit does not rule out, at their fp64 distances, and forgets them.
    private mutating func compare(
      _ candidates: inout [Candidate], _ query: Int, _ shortlist: inout Shortlist
    ) throws(SimilarityError) {
      // NaN first.
      candidates.sort { !($0.key >= $1.key) && !$1.key.isNaN || $0.key.isNaN && !$1.key.isNaN }
      var next = 0
      while next < candidates.count, !(candidates[next].key > limits[query]) {
        let source = candidates[next].source
        rows.removeAll(keepingCapacity: true)
        while next < candidates.count, rows.count < Self.compared, candidates[next].source == source {
          rows.append(candidates[next].row)
          next += 1
        }
        scan.sources[Int(source)].vectors.distances(
          ofRows: rows, to: query, of: scan.queries.matrix, squaredNorm: scan.queries.coded.squaredNorms[query],
          metric: scan.queries.bound.metric, using: &scratch)
        for (i, row) in rows.enumerated() {
          try shortlist.offer(scratch.distances[i], source: Int(source), row: Int(row), of: scan.sources)
        }
        try shortlist.settle(scan.sources)
        limits[query] = scan.queries.bound.limit(distance: shortlist.distance)
      }
      candidates.removeAll(keepingCapacity: true)
    }
  }
}
