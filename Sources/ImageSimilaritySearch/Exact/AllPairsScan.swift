import ImageSimilarityCore

/// The nearest rows of every row. Each pair of rows is looked at once: the product of their codes says for both whether the
/// other may be near.
///
/// The rows are cut into blocks, twice as many as threads, and the work into rounds of pairs of blocks in which each block
/// occurs once, as in a tournament: a task has the rankings of its two blocks for itself.
struct AllPairsScan: Sendable {
  /// Rows that are compared with all others at a time: whole panels, and whole tiles of queries.
  private static let rowsPerGroup = 528
  /// Candidates that wait for each row: there are many rows.
  private static let waiting = 64

  private let sources: [any VectorSource]
  private let metric: Metric
  private let request: SearchRequest
  private let includesSelf: Bool

  init(sources: [any VectorSource], metric: Metric, request: SearchRequest, includesSelf: Bool) {
    self.sources = sources
    self.metric = metric
    self.request = request
    self.includesSelf = includesSelf
  }

  /// Consecutive rows of a source, from the first of a panel on, and where their rankings are in their block.
  private struct Group {
    var source: Int
    var rows: Range<Int>
    var start: Int
  }

  private struct Block {
    var groups: [Group]
    var rankings: Rankings
  }

  func run(threads: Int) async throws -> [(id: String, neighbors: [Neighbor])] {
    for source in sources { try source.verifyCodes() }
    let blocks = makeBlocks(count: 2 * threads)
    try await inTurn(blocks.map { [$0] }, threads: threads)
    for round in Self.rounds(blocks.count) {
      try await inTurn(round.map { [blocks[$0.0], blocks[$0.1]] }, threads: threads)
    }
    var found: [(id: String, neighbors: [Neighbor])] = []
    for block in blocks {
      for group in block.groups {
        for row in group.rows where sources[group.source].isLive(row) {
          let neighbors = try block.rankings.finish(group.start + row - group.rows.lowerBound)
          found.append((try sources[group.source].id(row), neighbors))
        }
      }
    }
    return found
  }

  private func makeBlocks(count: Int) -> [Block] {
    var groups = sources.enumerated().flatMap { index, source in
      stride(from: 0, to: source.vectors.rows, by: Self.rowsPerGroup).map {
        Group(source: index, rows: $0..<min($0 + Self.rowsPerGroup, source.vectors.rows), start: 0)
      }
    }
    return (0..<count).map { number in
      var own = Array(groups.prefix((groups.count + count - number - 1) / (count - number)))
      groups.removeFirst(own.count)
      var rows = 0
      for i in own.indices {
        own[i].start = rows
        rows += own[i].rows.count
      }
      let (sources, places) = (sources, own)
      let rankings = Rankings(
        count: rows, request, sources: sources, metric: metric, waiting: Self.waiting
      ) { i throws(SimilarityError) in
        guard let group = places.last(where: { $0.start <= i }) else { preconditionFailure("row \(i) has no group") }
        let vectors = sources[group.source].vectors
        let row = group.rows.lowerBound + i - group.start
        try sources[group.source].verifyElements(ofRow: row)
        return Rankings.Query(
          elements: vectors.elements.row(row, dimension: vectors.dimension), squaredNorm: vectors.squaredNorms[row])
      }
      return Block(groups: own, rankings: rankings)
    }
  }

  /// All pairs of `count` numbers, an even count, each once: the circle method. Every number is in each round once.
  private static func rounds(_ count: Int) -> [[(Int, Int)]] {
    (0..<count - 1).map { round in
      // The last number stays where it is; the others go around.
      let turning = (0..<count - 1).map { ($0 + round) % (count - 1) }
      return [(turning[0], count - 1)] + (1..<count / 2).map { (turning[$0], turning[count - 1 - $0]) }
    }
  }

  /// One or two blocks a task: all pairs of rows within the one, or between the two.
  private func inTurn(_ tasks: [[Block]], threads: Int) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      let workers = min(threads, tasks.count)
      for worker in 0..<workers {
        group.addTask {
          for blocks in stride(from: worker, to: tasks.count, by: workers).map({ tasks[$0] }) {
            try blocks.count == 1 ? compare(within: blocks[0]) : compare(blocks[0], blocks[1])
          }
        }
      }
      try await group.waitForAll()
    }
  }

  private func compare(within block: Block) throws {
    for (number, group) in block.groups.enumerated() {
      let queries = ScanQueries(sources[group.source].vectors, rows: group.rows, metric: metric)
      try compare(queries, group, block.rankings, group, block.rankings)
      for other in block.groups[(number + 1)...] {
        try compare(queries, group, block.rankings, other, block.rankings)
      }
    }
  }

  private func compare(_ a: Block, _ b: Block) throws {
    for group in a.groups {
      let queries = ScanQueries(sources[group.source].vectors, rows: group.rows, metric: metric)
      for other in b.groups { try compare(queries, group, a.rankings, other, b.rankings) }
    }
  }

  /// Compares the rows of `group`, which are `queries`, with those of `other`: in both directions, unless it is the same.
  private func compare(
    _ queries: ScanQueries, _ group: Group, _ rankings: Rankings, _ other: Group, _ otherRankings: Rankings
  ) throws {
    try Task.checkCancellation()
    let source = sources[group.source]
    let otherSource = sources[other.source]
    let isSame = group.source == other.source && group.rows == other.rows
    let sliceRows = Scan.sliceRows(dimension: source.vectors.dimension)
    let results = ScanResults(rows: sliceRows)
    for first in stride(from: other.rows.lowerBound, to: other.rows.upperBound, by: sliceRows) {
      let slice = first..<min(first + sliceRows, other.rows.upperBound)
      let otherStart = other.start + first - other.rows.lowerBound
      for start in stride(from: 0, to: queries.count, by: ScanQueries.tileRows) {
        let tile = start..<min(start + ScanQueries.tileRows, queries.count)
        queries.scan(
          tile, otherSource.vectors, rows: slice,
          limits: rankings.limits[group.start..<group.start + queries.count],
          rowLimits: isSame ? nil : otherRankings.limits[otherStart..<otherStart + slice.count], into: results)
        for (i, query) in tile.enumerated() where results.count(i) > 0 {
          let row = group.rows.lowerBound + query
          guard source.isLive(row) else { continue }
          for n in 0..<results.count(i) {
            let found = results[i, n, scanned: slice.count]
            let otherRow = first + found.row
            guard otherSource.isLive(otherRow), includesSelf || !isSame || otherRow != row else { continue }
            if !(found.key > rankings.limits[group.start + query]) {
              try rankings.offer(group.start + query, key: found.key, source: other.source, row: otherRow)
            }
            if !isSame, !(found.key > otherRankings.limits[otherStart + found.row]) {
              try otherRankings.offer(otherStart + found.row, key: found.key, source: group.source, row: row)
            }
          }
        }
      }
    }
  }
}
