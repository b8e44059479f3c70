public import ImageSimilarityCore

/// Checks that an index keeps the promises of `SimilarityIndex`.
///
/// ```swift
/// @Test func myIndexConforms() async throws {
///   try await IndexConformance.check { dimension, metric in MyIndex(dimension: dimension, metric: metric) }
/// }
/// ```
public enum IndexConformance {
  /// Throws a ``ConformanceFailure`` at the first promise that is broken.
  ///
  /// - Parameter makeIndex: makes an empty index of vectors of so many elements.
  public static func check<Index: SimilarityIndex>(
    _ makeIndex: @Sendable (_ dimension: Int, _ metric: Metric) async throws -> Index
  ) async throws {
    for metric in Metric.allCases {
      for dimension in [1, 7, 32] {
        let index = try await makeIndex(dimension, metric)
        try require(
          index.dimension == dimension && index.metric == metric,
          "an index has the dimension and the metric it is made with",
          "asked for \(dimension), \(metric); found \(index.dimension), \(index.metric)")
      }
      try await checkEmpty(makeIndex(4, metric))
      try await checkUpsertAndRemove(makeIndex(3, metric))
      try await checkOrder(makeIndex(2, metric))
      try await checkZeroVectors(makeIndex(3, metric))
      if metric != .innerProduct { try await checkSelf(makeIndex(17, metric)) }
      try await checkRefusals(makeIndex(3, metric))
      for dimension in [1, 7, 32] {
        try await checkDistances(makeIndex(dimension, metric))
      }
      try await checkConcurrency(makeIndex(8, metric))
    }
  }

  // MARK: - The promises

  private static func checkEmpty(_ index: some SimilarityIndex) async throws {
    let requirement = "an empty index has no neighbours"
    try await expectCount(0, index, "making an empty index")
    let queries = random(rows: 2, dimension: index.dimension, seed: 1)
    let found = try await index.search(queries, SearchRequest(k: 3))
    try require(found == [[], []], requirement, "two queries gave \(found)")
    try require(await index.remove(["a"]) == 0, "removing an unknown id removes nothing", "the count returned is not 0")
    let none = EmbeddingMatrix(rows: 0, dimension: index.dimension, values: [])
    try await index.upsert(none, ids: [])
    try await expectCount(0, index, "storing no vectors")
    try require(
      await index.search(none, SearchRequest(k: 1)).isEmpty, "no queries have no answers", "there was an answer")
  }

  private static func checkUpsertAndRemove(_ index: some SimilarityIndex) async throws {
    let x: [Float] = [1, 0, 0]
    let y: [Float] = [0, 1, 0]
    let z: [Float] = [0, 0, 1]
    try await index.upsert(EmbeddingMatrix([x, y]), ids: ["a", "b"])
    try await expectCount(2, index, "storing two vectors under new ids")
    try await expectNearest("a", to: x, index, "a stored vector is found")
    try await expectNearest("b", to: y, index, "a stored vector is found")

    try await index.upsert(EmbeddingMatrix([z]), ids: ["a"])
    try await expectCount(2, index, "storing under an id that is there")
    try await expectNearest("a", to: z, index, "a replaced vector is found at its new place")
    let near = try await index.search(EmbeddingMatrix([x]), SearchRequest(radius: own(x, index) + 0.5))
    try require(near == [[]], "a replaced vector is no longer at its old place", "found \(near)")

    try await index.upsert(EmbeddingMatrix([x, y, z]), ids: ["c", "c", "c"])
    try await expectCount(3, index, "storing three rows under one new id")
    let c = try await index.search(EmbeddingMatrix([z]), SearchRequest(radius: own(z, index)))
    try require(
      c[0] == ["a", "c"].map { Neighbor(id: $0, distance: own(z, index)) },
      "of equal ids in one call, the last row stays", "found \(c)")

    let removed = try await index.remove(["a", "nothing", "a"])
    try require(removed == 1, "remove returns how many vectors it removed", "expected 1, found \(removed)")
    try await expectCount(2, index, "removing one of three")
    let rest = try await index.search(EmbeddingMatrix([z]), SearchRequest(k: 5))
    try require(Set(rest[0].map(\.id)) == ["b", "c"], "a removed vector is not found", "found \(rest)")
    try await index.upsert(EmbeddingMatrix([x]), ids: ["a"])
    try await expectNearest("a", to: x, index, "a removed id can be stored again")
    try require(await index.remove(["a", "b", "c"]) == 3, "everything can be removed", "the count returned is not 3")
    try await expectCount(0, index, "removing everything")
  }

  private static func checkOrder(_ index: some SimilarityIndex) async throws {
    // Four at one distance, stored in no order, and one that is farther away.
    let same: [Float] = [1, 1]
    try await index.upsert(EmbeddingMatrix([same, same, [1, -1], same, same]), ids: ["c", "B", "far", "é", "a"])
    let sorted = ["c", "B", "é", "a"].sorted()
    for k in 1...7 {
      let hits = try await index.search(EmbeddingMatrix([same]), SearchRequest(k: k))[0]
      try require(
        hits.map(\.id) == Array((sorted + ["far"]).prefix(k)),
        "neighbours are sorted by distance, then by id, and k is at most the number of vectors", "k = \(k) gave \(hits)"
      )
    }
    let inside = try await index.search(EmbeddingMatrix([same]), SearchRequest(radius: own(same, index) + 0.1))[0]
    try require(inside.map(\.id) == sorted, "a radius alone gives all within it", "found \(inside)")
    let both = try await index.search(EmbeddingMatrix([same]), SearchRequest(k: 2, radius: own(same, index) + 0.1))[0]
    try require(both.map(\.id) == Array(sorted.prefix(2)), "k limits what the radius gives", "found \(both)")
    let all = try await index.search(EmbeddingMatrix([same]), SearchRequest(radius: .infinity))[0]
    try require(all.count == 5, "an infinite radius gives everything", "found \(all)")
    let edge = all[4].distance
    let onEdge = try await index.search(EmbeddingMatrix([same]), SearchRequest(radius: edge))[0]
    try require(onEdge.count == 5, "a neighbour at the radius is within it", "radius \(edge) gave \(onEdge)")
    let below = try await index.search(EmbeddingMatrix([same]), SearchRequest(radius: edge.nextDown))[0]
    try require(
      below.count == 4, "a neighbour beyond the radius is not within it", "radius \(edge.nextDown) gave \(below)")
  }

  private static func checkZeroVectors(_ index: some SimilarityIndex) async throws {
    let zero: [Float] = [0, 0, 0]
    try await index.upsert(EmbeddingMatrix([zero, [0, 3, 4]]), ids: ["zero", "other"])
    let far: Float =
      switch index.metric {
      case .cosine: 1
      case .euclidean: 5
      case .innerProduct: 0
      }
    let hits = try await index.search(EmbeddingMatrix([zero]), SearchRequest(k: 2))[0]
    try require(
      hits == [Neighbor(id: "zero", distance: 0), Neighbor(id: "other", distance: far)].sorted(),
      "a zero vector is at 0 from another and at the metric's distance from the rest", "found \(hits)")
    let back = try await index.search(EmbeddingMatrix([[0, 3, 4]]), SearchRequest(k: 2))[0]
    try require(
      back == [Neighbor(id: "other", distance: own([0, 3, 4], index)), Neighbor(id: "zero", distance: far)],
      "a zero vector is at the metric's distance from any other", "found \(back)")
  }

  private static func checkSelf(_ index: some SimilarityIndex) async throws {
    let vectors = random(rows: 300, dimension: index.dimension, seed: 2)
    let ids = names(300)
    try await index.upsert(vectors, ids: ids)
    let found = try await index.search(vectors, SearchRequest(k: 1))
    for (row, hits) in found.enumerated() {
      try require(
        hits == [Neighbor(id: ids[row], distance: 0)], "a vector is at exactly 0 from itself",
        "row \(row), stored as \(ids[row]), gave \(hits)")
    }
  }

  private static func checkRefusals(_ index: some SimilarityIndex) async throws {
    try await index.upsert(EmbeddingMatrix([[1, 2, 3]]), ids: ["a"])
    let fine = EmbeddingMatrix([[3, 2, 1]])
    for bad in [Float.nan, .infinity, -.infinity] {
      let vectors = EmbeddingMatrix([[1, 1, 1], [1, bad, 1]])
      try await expectRefusal(.notFinite, "storing \(bad)") { try await index.upsert(vectors, ids: ["a", "b"]) }
      try await expectRefusal(.notFinite, "searching \(bad)") {
        _ = try await index.search(vectors, SearchRequest(k: 1))
      }
    }
    try await expectRefusal(.dimensionMismatch, "storing vectors of another dimension") {
      try await index.upsert(EmbeddingMatrix([[1, 2]]), ids: ["a"])
    }
    try await expectRefusal(.dimensionMismatch, "searching vectors of another dimension") {
      _ = try await index.search(EmbeddingMatrix([[1, 2, 3, 4]]), SearchRequest(k: 1))
    }
    try await expectRefusal(.invalidArgument, "storing two ids for one vector") {
      try await index.upsert(fine, ids: ["a", "b"])
    }
    var requests = [
      SearchRequest(), SearchRequest(k: 0), SearchRequest(k: -1), SearchRequest(radius: .nan),
      SearchRequest(k: 0, radius: 1),
    ]
    if index.metric != .innerProduct { requests += [SearchRequest(radius: -0.5), SearchRequest(k: 1, radius: -1)] }
    for request in requests {
      try await expectRefusal(.invalidArgument, "searching with \(request)") {
        _ = try await index.search(fine, request)
      }
    }
    try await expectCount(1, index, "refused calls")
    try await expectNearest("a", to: [1, 2, 3], index, "a call that throws changes nothing")
  }

  /// Compares with distances computed here in fp64, and a batch with its rows one by one.
  private static func checkDistances(_ index: some SimilarityIndex) async throws {
    let rows = 500
    let stored = random(rows: rows, dimension: index.dimension, seed: 3)
    let queries = random(rows: 40, dimension: index.dimension, seed: 4)
    let ids = names(rows)
    try await index.upsert(stored, ids: ids)
    let gone = Set(ids.indices.filter { $0 % 7 == 0 }.map { ids[$0] })
    try await index.remove(Array(gone))

    let batch = try await index.search(queries, SearchRequest(k: 9))
    try require(batch.count == queries.rows, "there is one answer for each query", "found \(batch.count)")
    for query in 0..<queries.rows {
      let expected = ids.indices.filter { !gone.contains(ids[$0]) }
        .map { distance(queries[query], stored[$0], index.metric) }.sorted().prefix(9)
      try require(
        batch[query].count == 9 && zip(batch[query], expected).allSatisfy { abs(Double($0.distance) - $1) < 1e-5 },
        "distances are those of the metric", "query \(query): expected \(Array(expected)), found \(batch[query])")
      try require(batch[query] == batch[query].sorted(), "neighbours are sorted", "found \(batch[query])")
      try require(
        batch[query].allSatisfy { !gone.contains($0.id) }, "a removed vector is not found", "found \(batch[query])")
      let single = try await index.search(EmbeddingMatrix([queries[query]]), SearchRequest(k: 9))
      try require(
        single == [batch[query]], "a query has one answer whatever its batch",
        "alone \(single), in a batch \(batch[query])")
    }
  }

  /// Readers see each vector either before or after a write, and a fixed vector always.
  private static func checkConcurrency(_ index: some SimilarityIndex) async throws {
    let vectors = random(rows: 400, dimension: index.dimension, seed: 5)
    let ids = names(400)
    // Long and at right angles: each is nearer to itself than anything else is, in every metric.
    let axes = (0..<index.dimension).map { axis in
      (0..<index.dimension).map { $0 == axis ? Float(10) : 0 }
    }
    let fixed = EmbeddingMatrix(axes)
    let fixedIDs = axes.indices.map { "fixed \($0)" }
    try await index.upsert(fixed, ids: fixedIDs)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for start in stride(from: 0, to: 400, by: 20) {
          let rows = Array(start..<start + 20)
          try await index.upsert(EmbeddingMatrix(rows.map { vectors[$0] }), ids: rows.map { ids[$0] })
          try await index.remove(rows.prefix(10).map { ids[$0] })
        }
      }
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<20 {
            let found = try await index.search(fixed, SearchRequest(k: 1))
            try require(
              found == zip(fixedIDs, axes).map { [Neighbor(id: $0, distance: own($1, index))] },
              "reading and writing go on side by side", "a vector that nobody touched was not found: \(found)")
          }
        }
      }
      try await group.waitForAll()
    }
    try await expectCount(208, index, "8 + 20 times 20 vectors stored, 20 times 10 removed")
  }

  // MARK: - Means

  private static func expectCount(_ count: Int, _ index: some SimilarityIndex, _ what: String) async throws {
    let found = try await index.count
    try require(found == count, "count is the number of vectors", "after \(what) expected \(count), found \(found)")
  }

  private static func expectNearest(
    _ id: String, to query: [Float], _ index: some SimilarityIndex, _ requirement: String
  ) async throws {
    let found = try await index.search(EmbeddingMatrix([query]), SearchRequest(k: 1))
    try require(
      found == [[Neighbor(id: id, distance: own(query, index))]], requirement,
      "expected \(id) itself, from \(query), found \(found)")
  }

  /// The distance of a vector to itself.
  private static func own(_ vector: [Float], _ index: some SimilarityIndex) -> Float {
    index.metric == .innerProduct ? Float(distance(vector, vector, index.metric)) : 0
  }

  private static func expectRefusal(
    _ code: SimilarityError.Code, _ what: String, _ call: () async throws -> Void
  ) async throws {
    let requirement = "\(what) is refused with the code \(code.rawValue)"
    do {
      try await call()
    } catch let error as SimilarityError {
      return try require(error.code == code, requirement, "the code was \(error.code.rawValue): \(error)")
    } catch {
      throw ConformanceFailure(requirement: requirement, detail: "the error was not a SimilarityError: \(error)")
    }
    throw ConformanceFailure(requirement: requirement, detail: "it was accepted")
  }

  private static func distance(_ a: [Float], _ b: [Float], _ metric: Metric) -> Double {
    func sum(_ term: (Double, Double) -> Double) -> Double {
      zip(a, b).reduce(0) { $0 + term(Double($1.0), Double($1.1)) }
    }
    switch metric {
    case .innerProduct: return 0 - sum { $0 * $1 }
    case .euclidean: return sum { ($0 - $1) * ($0 - $1) }.squareRoot()
    case .cosine:
      let norms = sum { x, _ in x * x } * sum { _, y in y * y }
      return max(0, 1 - sum { $0 * $1 } / norms.squareRoot())
    }
  }

  private static func names(_ count: Int) -> [String] { (0..<count).map { "image \($0)" } }

  /// Elements between -1 and 1; the same for the same seed.
  private static func random(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var state = seed
    let values = (0..<rows * dimension).map { _ -> Float in
      // SplitMix64 (Steele, Lea, Flood 2014)
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      z ^= z >> 31
      return Float(Int64(z >> 40) - (1 << 23)) / Float(1 << 23)
    }
    return EmbeddingMatrix(rows: rows, dimension: dimension, values: values)
  }
}
