import ImageSimilarityCore
import ImageSimilaritySearch
import ImageSimilarityTesting
import Testing

@Suite struct ExactIndexTests {
  @Test(arguments: [1, 3]) func conforms(threads: Int) async throws {
    try await IndexConformance.check { ExactIndex(dimension: $0, metric: $1, threads: threads) }
  }

  /// Every kind of trouble at once: copies, near copies, scaled copies, zeros, huge and tiny norms; sizes around the borders
  /// of panels, slices and blocks; one query, and batches.
  @Test(arguments: Metric.allCases, [(1, 300), (5, 127), (8, 129), (33, 2049), (128, 1100), (1280, 300)])
  func equalsBruteForce(metric: Metric, size: (dimension: Int, rows: Int)) async throws {
    let vectors = adversarial(rows: size.rows, dimension: size.dimension)
    let ids = vectors.indices.map { "\(($0 * 7919) % size.rows)" }
    let reference = BruteForce(vectors: vectors, ids: ids, metric: metric)
    let oneBlock = ExactIndex(dimension: size.dimension, metric: metric)
    try oneBlock.upsert(EmbeddingMatrix(vectors), ids: ids)
    let manyBlocks = ExactIndex(dimension: size.dimension, metric: metric, threads: 3)
    for start in stride(from: 0, to: size.rows, by: 61) {
      let rows = start..<min(start + 61, size.rows)
      try manyBlocks.upsert(EmbeddingMatrix(Array(vectors[rows])), ids: Array(ids[rows]))
    }
    var random = SplitMix64(seed: 9)
    let queries =
      stride(from: 0, to: size.rows, by: max(1, size.rows / 20)).map { vectors[$0] }
      + (0..<10).map { _ in (0..<size.dimension).map { _ in random.next() } }
    let expected = queries.map(reference.all)
    for k in [1, 2, 10, 100, size.rows, size.rows + 1, Int.max] {
      for index in [oneBlock, manyBlocks] {
        let batch = try await index.search(EmbeddingMatrix(queries), SearchRequest(k: k))
        for (query, hits) in batch.enumerated() {
          #expect(hits == Array(expected[query].prefix(k)), "k \(k), query \(query)")
        }
      }
      let single = try await manyBlocks.search(EmbeddingMatrix([queries[0]]), SearchRequest(k: k))
      #expect(single == [Array(expected[0].prefix(k))])
    }
    // Radii that are distances, and their neighbours among the floats.
    for rank in [0, 3, size.rows / 2, size.rows - 1] {
      let edge = expected[1][rank].distance
      for radius in [edge.nextDown, edge, edge.nextUp] where radius >= 0 {
        let found = try await oneBlock.search(EmbeddingMatrix(queries), SearchRequest(radius: radius))
        let both = try await manyBlocks.search(EmbeddingMatrix(queries), SearchRequest(k: 5, radius: radius))
        for query in queries.indices {
          let inside = expected[query].filter { $0.distance <= radius }
          #expect(found[query] == inside, "radius \(radius), query \(query)")
          #expect(both[query] == Array(inside.prefix(5)), "radius \(radius), query \(query)")
        }
      }
    }
  }

  /// In fp16 the answer is that of the rounded vectors.
  @Test(arguments: Metric.allCases) func halfPrecision(metric: Metric) async throws {
    var random = SplitMix64(seed: 12)
    let vectors = (0..<400).map { _ in (0..<19).map { _ in random.next() * 3 } }
    let ids = vectors.indices.map(String.init)
    let rounded = vectors.map { $0.map { Float(Float16($0)) } }
    let reference = BruteForce(vectors: rounded, ids: ids, metric: metric)
    let index = ExactIndex(dimension: 19, metric: metric, precision: .fp16, threads: 2)
    try index.upsert(EmbeddingMatrix(vectors), ids: ids)
    try index.upsert(EmbeddingMatrix([vectors[7]]), ids: ["7"])
    let found = try await index.search(EmbeddingMatrix(vectors), SearchRequest(k: 6))
    for (query, hits) in zip(vectors, found) { #expect(hits == Array(reference.all(query).prefix(6))) }
    #expect(index.vector(id: "7") == rounded[7])
    let error = #expect(throws: SimilarityError.self) {
      try index.upsert(EmbeddingMatrix([[Float](repeating: 70_000, count: 19)]), ids: ["large"])
    }
    #expect(error?.code == .notFinite)
    #expect(error?.message.contains("65504") == true)
  }

  /// `k` hits wherever so many pass, and those of brute force over what passes.
  @Test(arguments: Metric.allCases, [1, 3]) func filters(metric: Metric, threads: Int) async throws {
    let vectors = adversarial(rows: 1500, dimension: 12)
    let ids = vectors.indices.map(String.init)
    let index = ExactIndex(dimension: 12, metric: metric, threads: threads)
    try index.upsert(EmbeddingMatrix(vectors), ids: ids)
    let reference = BruteForce(vectors: vectors, ids: ids, metric: metric)
    for passing: Set<String> in [[], ["3"], Set(ids.filter { $0.hasSuffix("77") }), Set(ids)] {
      for request in [SearchRequest(k: 10), SearchRequest(k: 3, radius: 0.9), SearchRequest(radius: 0.4)] {
        let found = try await index.search(EmbeddingMatrix(Array(vectors.prefix(60))), request) {
          passing.contains($0)
        }
        for (query, hits) in zip(vectors, found) {
          let all = reference.all(query).filter {
            passing.contains($0.id) && $0.distance <= request.radius ?? .infinity
          }
          #expect(hits == Array(all.prefix(request.k ?? all.count)))
        }
      }
    }
  }

  /// The graph of all pairs is what searching each vector gives, across blocks, groups, and removed rows.
  @Test(arguments: Metric.allCases, [1, 3]) func neighborGraph(metric: Metric, threads: Int) async throws {
    for rows in [0, 1, 529, 1100] {
      let vectors = adversarial(rows: rows, dimension: 11)
      let index = ExactIndex(dimension: 11, metric: metric, threads: threads)
      for start in stride(from: 0, to: rows, by: 600) {
        let part = start..<min(start + 600, rows)
        try index.upsert(EmbeddingMatrix(Array(vectors[part])), ids: part.map(String.init))
      }
      index.remove(vectors.indices.filter { $0 % 9 == 4 }.map(String.init))
      for request in [SearchRequest(k: 5), SearchRequest(k: 2, radius: 0.3), SearchRequest(radius: 0.01)] {
        for includesSelf in [false, true] {
          let graph = try await index.neighborGraph(request, includesSelf: includesSelf)
          #expect(graph.map(\.id) == index.ids)
          let queries = graph.map { index.vector(id: $0.id) ?? [] }
          guard !queries.isEmpty else { continue }
          var wide = request
          if let k = request.k, !includesSelf { wide.k = k + 1 }
          let expected = try await index.search(EmbeddingMatrix(queries), wide)
          for (found, hits) in zip(graph, expected) {
            let others = includesSelf ? hits : hits.filter { $0.id != found.id }
            #expect(found.neighbors == Array(others.prefix(request.k ?? others.count)))
          }
        }
      }
    }
  }

  @Test(arguments: Metric.allCases) func survivesAnyOrderOfChanges(metric: Metric) async throws {
    let index = ExactIndex(dimension: 6, metric: metric, threads: 2)
    var stored: [String: [Float]] = [:]
    var random = SplitMix64(seed: 4)
    for round in 0..<120 {
      let count = [1, 2, 40, 255, 256, 300][Int(random.integer(6))]
      let ids = (0..<count).map { _ in "\(random.integer(1500))" }
      if round % 3 == 2 {
        let there = Set(ids).filter { stored[$0] != nil }
        #expect(index.remove(ids) == there.count)
        for id in ids { stored[id] = nil }
      } else {
        let vectors = ids.map { _ in (0..<6).map { _ in random.next() } }
        try index.upsert(EmbeddingMatrix(vectors), ids: ids)
        for (id, vector) in zip(ids, vectors) { stored[id] = vector }
      }
      #expect(index.count == stored.count)
      if round % 10 == 9 {
        let ids = stored.keys.sorted()
        #expect(index.ids == ids)
        let reference = BruteForce(vectors: ids.map { stored[$0] ?? [] }, ids: ids, metric: metric)
        let queries = (0..<12).map { _ in (0..<6).map { _ in random.next() } }
        let found = try await index.search(EmbeddingMatrix(queries), SearchRequest(k: 20))
        for (query, hits) in zip(queries, found) { #expect(hits == Array(reference.all(query).prefix(20))) }
      }
    }
    for (id, vector) in stored {
      #expect(index.contains(id))
      #expect(index.vector(id: id) == vector)
    }
    #expect(!index.contains("nothing"))
    #expect(index.vector(id: "nothing") == nil)
    #expect(index.remove(Array(stored.keys)) == stored.count)
    #expect(index.count == 0)
  }

  @Test func errorsNameRowAndID() async throws {
    let index = ExactIndex(dimension: 2)
    let bad = EmbeddingMatrix([[1, 1], [.nan, 1]])
    let stored = #expect(throws: SimilarityError.self) { try index.upsert(bad, ids: ["a", "b.jpg"]) }
    #expect(stored?.message == "the vector to store in row 1 (id \"b.jpg\") has an element that is NaN or infinite")
    let asked = await #expect(throws: SimilarityError.self) { try await index.search(bad, SearchRequest(k: 1)) }
    #expect(asked?.message == "the query in row 1 has an element that is NaN or infinite")
    let short = #expect(throws: SimilarityError.self) { try index.upsert(EmbeddingMatrix([[1]]), ids: ["a"]) }
    #expect(short?.message == "the index holds vectors of 2 elements, not of 1")
  }

  @Test func stopsWhenCancelled() async throws {
    let index = ExactIndex(dimension: 1)
    try index.upsert(EmbeddingMatrix([[1]]), ids: ["a"])
    let task = Task {
      unsafe withUnsafeCurrentTask { task in unsafe task?.cancel() }
      return try await index.search(EmbeddingMatrix([[1]]), SearchRequest(k: 1))
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  private func adversarial(rows: Int, dimension: Int) -> [[Float]] {
    var random = SplitMix64(seed: UInt64(dimension))
    var vectors: [[Float]] = []
    for row in 0..<rows {
      let fresh = (0..<dimension).map { _ in random.next() }
      let earlier = vectors.isEmpty ? fresh : vectors[Int(random.integer(UInt64(vectors.count)))]
      switch row % 11 {
      case 0, 1, 2: vectors.append(fresh)
      case 3: vectors.append(earlier)
      case 4:
        // One element differs by one unit in the last place.
        var near = earlier
        let i = Int(random.integer(UInt64(dimension)))
        near[i] = near[i].nextUp
        vectors.append(near)
      case 5: vectors.append(earlier.map { $0 * 2 }.map { $0.isFinite ? $0 : 1 })
      case 6: vectors.append([Float](repeating: 0, count: dimension))
      case 7: vectors.append(fresh.map { $0 * 1e30 })
      case 8: vectors.append(fresh.map { $0 * 1e-30 })
      case 9: vectors.append(fresh.map { $0 * 0x1p-140 })
      default: vectors.append(fresh.map { 1 + $0 * 1e-6 })
      }
    }
    return vectors
  }
}
