import ImageSimilarityCore

/// What some queries have met so far: the nearest rows, and rows whose keys do not rule them out, which wait until there are
/// enough of them and are then compared in fp64, the most promising first, which brings the limit down for the rest.
///
/// `@unchecked Sendable`: one task at a time works with it.
@safe final class Rankings: @unchecked Sendable {
  /// A query in full.
  struct Query {
    var elements: [Float]
    var squaredNorm: Double
  }

  private struct Candidate {
    var key: Float
    var source: Int32
    var row: UInt32
  }

  /// Candidates that wait at most.
  private let waiting: Int
  /// Candidates that are compared at a time.
  private static let compared = 8

  private let sources: [any VectorSource]
  private let metric: Metric
  /// The query whose elements are asked for.
  private let query: (Int) throws(SimilarityError) -> Query
  /// One a query: keys above it rule a row out.
  private(set) var limits: [Float]
  private var shortlists: [Shortlist]
  private var candidates: [[Candidate]]
  private var scratch = DistanceScratch()
  private var rows: [UInt32] = []

  init(
    count: Int, _ request: SearchRequest, sources: [any VectorSource], metric: Metric, waiting: Int = 256,
    query: @escaping (Int) throws(SimilarityError) -> Query
  ) {
    let shortlist = Shortlist(request)
    self.waiting = waiting
    self.sources = sources
    self.metric = metric
    self.query = query
    limits = [Float](repeating: KeyBound.limit(distance: shortlist.distance, metric), count: count)
    shortlists = [Shortlist](repeating: shortlist, count: count)
    candidates = [[Candidate]](repeating: [], count: count)
  }

  /// Considers a row for query `i`.
  func offer(_ i: Int, key: Float, source: Int, row: Int) throws(SimilarityError) {
    candidates[i].append(Candidate(key: key, source: Int32(source), row: UInt32(row)))
    if candidates[i].count >= waiting { try compare(i) }
  }

  /// The nearest rows of query `i`; its memory is given back.
  func finish(_ i: Int) throws(SimilarityError) -> [Neighbor] {
    try compare(i)
    candidates[i] = []
    return try shortlists[i].neighbors(sources)
  }

  /// Ranks all candidates that the falling limit does not rule out, and forgets them.
  private func compare(_ i: Int) throws(SimilarityError) {
    if candidates[i].isEmpty { return }
    // Exchanged, so that the array is not copied.
    var pending: [Candidate] = []
    swap(&pending, &candidates[i])
    // NaN first.
    pending.sort { $1.key > $0.key || $0.key.isNaN && !$1.key.isNaN }
    let query = try query(i)
    var next = 0
    while next < pending.count, !(pending[next].key > limits[i]) {
      let source = pending[next].source
      rows.removeAll(keepingCapacity: true)
      while next < pending.count, rows.count < Self.compared, pending[next].source == source {
        try sources[Int(source)].verifyElements(ofRow: Int(pending[next].row))
        rows.append(pending[next].row)
        next += 1
      }
      sources[Int(source)].vectors.distances(ofRows: rows, to: query, metric: metric, using: &scratch)
      for (n, row) in rows.enumerated() {
        try shortlists[i].offer(scratch.distances[n], source: Int(source), row: Int(row), of: sources)
      }
      try shortlists[i].settle(sources)
      limits[i] = KeyBound.limit(distance: shortlists[i].distance, metric)
    }
    pending.removeAll(keepingCapacity: true)
    swap(&pending, &candidates[i])
  }
}
