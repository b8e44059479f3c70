public import ImageSimilarityCore

extension GraphIndex {
  private typealias Node = GraphNodes.Node
  private typealias Query = Rankings.Query

  /// So many vectors are compared one by one.
  private static let scannedCount = 1024
  /// Vectors that are asked how many pass a filter.
  private static let sampleCount = 1024
  /// Where a smaller share passes, walks would see too few of those that do.
  private static let walkedShare = 0.1
  /// So many vectors that pass are all compared in full.
  private static let comparedCount = 8192

  /// The neighbours of each row of `queries`, in the order of the rows.
  ///
  /// A request without `k` gives what is found within the radius, with an `ef` that grows as long as the farthest that is found
  /// is within it.
  public func search(_ queries: EmbeddingMatrix, _ request: SearchRequest) async throws -> [[Neighbor]] {
    try await search(queries, request, ef: nil)
  }

  /// The neighbours of each row of `queries` among the vectors whose ids `isIncluded` accepts: `k` of them wherever so many
  /// pass. Where few pass, these are compared one by one.
  ///
  /// Throws `CancellationError` soon after its task is cancelled.
  ///
  /// - Parameters:
  ///   - ef: near vectors to collect; ``Parameters/ef`` where nil.
  ///   - isIncluded: called from several threads; it must not call this index.
  public func search(
    _ queries: EmbeddingMatrix, _ request: SearchRequest, ef: Int?,
    where isIncluded: (@Sendable (String) -> Bool)? = nil
  ) async throws -> [[Neighbor]] {
    try request.validate(for: metric)
    try queries.requireDimension(dimension)
    try requireFinite(queries, what: "the query") { "\($0)" }
    if let ef, !(1...1 << 20).contains(ef) {
      throw SimilarityError(.invalidArgument, "ef is a number of vectors, from 1 to 2^20; found \(ef)")
    }
    let ef = ef ?? parameters.ef
    let workers = min(threads, queries.rows)
    if workers <= 1 { return try answer(queries, 0..<queries.rows, request, ef: ef, isIncluded) }
    return try await withThrowingTaskGroup(of: (Int, [[Neighbor]]).self) { group in
      for worker in 0..<workers {
        group.addTask { [self] in
          let rows = worker * queries.rows / workers..<(worker + 1) * queries.rows / workers
          return (worker, try answer(queries, rows, request, ef: ef, isIncluded))
        }
      }
      var found = [[[Neighbor]]](repeating: [], count: workers)
      for try await (worker, neighbors) in group { found[worker] = neighbors }
      return found.flatMap { $0 }
    }
  }

  /// How many of the true nearest `k` vectors a search finds, as a share, on average over the rows of `queries`.
  ///
  /// A vector that is as near as the `k`-th nearest counts as one of them.
  ///
  /// - Complexity: O(`queries * count * dimension`)
  public func recall(at k: Int, queries: EmbeddingMatrix, ef: Int? = nil) async throws -> Double {
    let found = try await search(queries, SearchRequest(k: k), ef: ef)
    guard queries.rows > 0 else { return 1 }
    var hits = 0
    var wanted = 0
    for row in 0..<queries.rows {
      try Task.checkCancellation()
      let exact = walks.with { walk in
        lock.read { compared(nodes.liveNodes, Query(queries, row), walk) }
      }.prefix(k)
      wanted += exact.count
      guard let last = exact.last else { continue }
      hits += found[row].prefix(exact.count).count { $0.distance <= last.distance }
    }
    return wanted == 0 ? 1 : Double(hits) / Double(wanted)
  }

  private func answer(
    _ queries: EmbeddingMatrix, _ rows: Range<Int>, _ request: SearchRequest, ef: Int,
    _ isIncluded: (@Sendable (String) -> Bool)?
  ) throws -> [[Neighbor]] {
    try walks.with { walk in
      try rows.map { row in
        try Task.checkCancellation()
        let query = Query(queries, row)
        return lock.read { neighbors(of: query, request, ef: ef, isIncluded, walk) }
      }
    }
  }

  private func neighbors(
    of query: Query, _ request: SearchRequest, ef: Int, _ isIncluded: (@Sendable (String) -> Bool)?, _ walk: Walk
  ) -> [Neighbor] {
    let radius = request.radius ?? .infinity
    let passes = { (node: Node) -> Bool in
      guard let id = self.nodes.id(node) else { return false }
      return isIncluded?(id) ?? true
    }
    let share = isIncluded == nil || nodes.count <= Self.scannedCount ? 1 : sampledShare(passes)
    if nodes.count <= Self.scannedCount || share < Self.walkedShare {
      let near = nearest(nodes.liveNodes.filter(passes), query, request.k, ef: ef, walk)
      return Array(near.prefix { $0.distance <= radius }.prefix(request.k ?? near.count))
    }
    // So many that enough of them pass; without k, twice as many as long as all are within the radius.
    let wanted = min(nodes.count, request.k ?? ef)
    var collected = min(nodes.count, Int(Double(max(ef, wanted)) / share * (share < 1 ? 1.25 : 1)))
    while true {
      let beam = query.elements.withSpan { walk.search(nodes, $0, level: 0, ef: collected) }
      let passing = beam.map(\.node).filter(passes)
      if let k = request.k {
        // A beam may be short of live nodes where others are just being removed, or pass less often than the sample did.
        guard passing.count >= min(k, nodes.count) else {
          let near = nearest(nodes.liveNodes.filter(passes), query, k, ef: ef, walk)
          return Array(near.prefix { $0.distance <= radius }.prefix(k))
        }
        let near = compared(Array(passing.prefix(comparedFirst(k))), query, walk)
        return Array(near.prefix { $0.distance <= radius }.prefix(k))
      }
      let near = compared(passing, query, walk)
      let inside = near.prefix { $0.distance <= radius }
      if inside.count < near.count || collected >= nodes.count { return Array(inside) }
      if collected * 4 >= nodes.count {
        return compared(nodes.liveNodes.filter(passes), query, walk).filter { $0.distance <= radius }
      }
      collected = min(nodes.count, collected * 2)
    }
  }

  /// How many of the nearest by their codes are compared in full to find the nearest `k`.
  private func comparedFirst(_ k: Int) -> Int { storage == .int8 ? k + 16 : 2 * k + 16 }

  private func sampledShare(_ passes: (Node) -> Bool) -> Double {
    let step = Double(nodes.slots) / Double(Self.sampleCount)
    let sample = (0..<Self.sampleCount).map { Node(Double($0) * step) }.filter(nodes.isLive)
    return sample.isEmpty ? 0 : Double(sample.count(where: passes)) / Double(sample.count)
  }

  /// The nearest of some nodes; where these are many, those alone that are near by their codes.
  private func nearest(_ some: [Node], _ query: Query, _ k: Int?, ef: Int, _ walk: Walk) -> [Neighbor] {
    guard let k, some.count > Self.comparedCount, k < some.count else { return compared(some, query, walk) }
    let near = query.elements.withSpan { walk.distances(nodes, $0, to: some) }.sorted()
    return compared(near.prefix(max(ef, comparedFirst(k))).map(\.node), query, walk)
  }

  /// Nodes at their distances, the nearest first; at equal distance, the lower id first.
  private func compared(_ some: [Node], _ query: Query, _ walk: Walk) -> [Neighbor] {
    let distances =
      storage == .int8
      ? query.elements.withSpan { codeDistances(walk.distances(nodes, $0, to: some)) }
      : nodes.distances(to: query.elements, squaredNorm: query.squaredNorm, of: some)
    return zip(some, distances).compactMap { node, distance in
      nodes.id(node).map { Neighbor(id: $0, distance: distance) }
    }.sorted()
  }

  private func codeDistances(_ near: [NearNode]) -> [Float] {
    near.map { near in
      switch metric {
      case .cosine: max(0, 1 + near.value)
      case .euclidean: max(0, near.value).squareRoot()
      case .innerProduct: near.value
      }
    }
  }
}

extension Rankings.Query {
  fileprivate init(_ queries: EmbeddingMatrix, _ row: Int) {
    self.init(elements: queries[row], squaredNorm: queries[rows: row..<row + 1].squaredNorms()[0])
  }
}

extension [Float] {
  fileprivate func withSpan<R>(_ body: (Span<Float>) -> R) -> R { body(span) }
}
