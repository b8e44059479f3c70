import ImageSimilarityCore

/// Ranks the rows of a database from each query, without the query itself.
struct LeaveOneOut: Sendable {
  private let embeddings: EmbeddingMatrix
  private let squaredNorms: [Double]
  private let labels: LabelledRows
  private let metric: Metric
  /// The rows that are ranked, ascending, as a matrix of their own; `places[row]` is where a row of the embeddings is there.
  private let rows: [UInt32]
  private let places: [UInt32?]
  private let database: EmbeddingMatrix
  private let databaseNorms: [Double]

  /// - Parameter isRanked: whether a row of `embeddings` is in the database; all are where nil.
  init(
    embeddings: EmbeddingMatrix, labels: LabelledRows, isRanked: [Bool]?, metric: Metric
  ) throws(SimilarityError) {
    self.embeddings = embeddings
    self.labels = labels
    self.metric = metric
    squaredNorms = embeddings.squaredNorms()
    // A sum of squares of floats cannot overflow a double, so it is finite exactly when all elements are.
    if let row = squaredNorms.firstIndex(where: { !$0.isFinite }) {
      throw SimilarityError(.notFinite, "the embedding in row \(row) has an element that is NaN or infinite")
    }
    guard let isRanked else {
      rows = (0..<UInt32(embeddings.rows)).map { $0 }
      places = rows
      database = embeddings
      databaseNorms = squaredNorms
      return
    }
    rows = isRanked.indices.filter { isRanked[$0] }.map { UInt32($0) }
    var places = [UInt32?](repeating: nil, count: embeddings.rows)
    for (place, row) in rows.enumerated() { places[Int(row)] = UInt32(place) }
    self.places = places
    database = EmbeddingMatrix(
      rows: rows.count, dimension: embeddings.dimension, values: rows.flatMap { embeddings[Int($0)] })
    let norms = squaredNorms
    databaseNorms = rows.map { norms[Int($0)] }
  }

  /// Calls `body` with the ranking of each query, from several threads, and returns what it returns by the queries' order; nil
  /// for queries to which nothing in the database is relevant.
  func rankings<Score: Sendable>(
    of queries: [Int], threads: Int, _ body: @escaping @Sendable (RankedQuery) -> Score
  ) async throws -> [Score?] {
    let tiles = stride(from: 0, to: queries.count, by: DistanceBounds.queries).map {
      $0..<min($0 + DistanceBounds.queries, queries.count)
    }
    return try await withThrowingTaskGroup(of: [(Int, Score)].self) { group in
      let workers = min(threads, tiles.count)
      for worker in 0..<workers {
        group.addTask {
          var scan = TileScan(self)
          var found: [(Int, Score)] = []
          for tile in stride(from: worker, to: tiles.count, by: workers).map({ tiles[$0] }) {
            try Task.checkCancellation()
            for (number, ranking) in scan.rankings(of: queries[tile]) { found.append((number, body(ranking))) }
          }
          return found
        }
      }
      var scores = [Score?](repeating: nil, count: queries.count)
      for try await part in group {
        for (number, score) in part { scores[number] = score }
      }
      return scores
    }
  }

  /// One thread's work and its memory.
  private struct TileScan {
    /// Rows that stay in the cache while all queries of a tile are compared with them.
    private static let rowsPerStep = 64

    private let search: LeaveOneOut
    private var bounds: DistanceBounds
    private var pending: [UInt32] = []
    private var distances: [Float] = []
    private var work: [Double] = []

    init(_ search: LeaveOneOut) {
      self.search = search
      bounds = DistanceBounds(search.database, squaredNorms: search.databaseNorms, metric: search.metric)
    }

    /// Those of queries to which something is relevant, with their numbers among all queries.
    mutating func rankings(of queries: ArraySlice<Int>) -> [(number: Int, ranking: RankedQuery)] {
      let numbers = queries.indices.filter { number in
        search.labels.relevant(to: queries[number]).contains { search.places[Int($0)] != nil }
      }
      if numbers.isEmpty { return [] }
      var unfinished = begin(numbers.map { queries[$0] })
      bounds.setQueries(unfinished.map(\.row)[...], of: search.embeddings, squaredNorms: search.squaredNorms)
      for start in stride(from: 0, to: search.database.rows, by: DistanceBounds.rows) {
        let slice = start..<min(start + DistanceBounds.rows, search.database.rows)
        bounds.multiply(rows: slice)
        for i in unfinished.indices {
          bounds.bound(query: i, rows: slice)
          compare(&unfinished[i], slice)
        }
      }
      return zip(numbers, unfinished).map { number, unfinished in
        var ranking = unfinished.finish()
        ranking.mistaken = ranking.mistaken.map { Int(search.rows[$0]) }
        return (number, ranking)
      }
    }

    /// Measures the rows that are relevant to each query, a few rows at a time for all queries, so that they stay in the cache.
    private mutating func begin(_ queries: [Int]) -> [UnfinishedRanking] {
      let relevant = queries.map { search.labels.relevant(to: $0).compactMap { search.places[Int($0)] } }
      var found = [[Float]](repeating: [], count: queries.count)
      for end in stride(from: Self.rowsPerStep, to: search.database.rows + Self.rowsPerStep, by: Self.rowsPerStep) {
        for (i, query) in queries.enumerated() {
          let rows = relevant[i][found[i].count...].prefix { $0 < end }
          if rows.isEmpty { continue }
          measure(Array(rows), from: query)
          found[i] += distances
        }
      }
      return queries.indices.map { UnfinishedRanking(row: queries[$0], relevant: relevant[$0], distances: found[$0]) }
    }

    private mutating func measure(_ rows: [UInt32], from query: Int) {
      search.database.distances(
        ofRows: rows, squaredNorms: search.databaseNorms, to: query, of: search.embeddings,
        squaredNorm: search.squaredNorms[query], metric: search.metric, work: &work, into: &distances)
    }

    /// Counts the rows `slice`, and measures only those that their bounds do not decide.
    private mutating func compare(_ ranking: inout UnfinishedRanking, _ slice: Range<Int>) {
      let own = search.places[ranking.row].map { Int($0) - slice.lowerBound }
      pending.removeAll(keepingCapacity: true)
      ranking.countDecided(bounds.lower, bounds.upper, rows: slice, except: own, pending: &pending)
      let (search, query) = (search, ranking.row)
      pending.removeAll {
        let row = Int(search.rows[Int($0)])
        return row == query || search.labels.haveOneInCommon(row, query)
      }
      let rows = pending
      measure(rows, from: query)
      for (i, row) in rows.enumerated() { ranking.add(row, distance: distances[i]) }
    }
  }
}
