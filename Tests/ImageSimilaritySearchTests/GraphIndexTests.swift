import ImageSimilarityCore
import ImageSimilaritySearch
import ImageSimilarityTesting
import Testing

@Suite struct GraphIndexTests {
  @Test(arguments: [1, 3]) func conforms(threads: Int) async throws {
    try await IndexConformance.check { GraphIndex(dimension: $0, metric: $1, threads: threads) }
  }

  @Test(arguments: Metric.allCases, GraphIndex.Storage.allCases)
  func findsNearlyAll(metric: Metric, storage: GraphIndex.Storage) async throws {
    let vectors = clustered(rows: 6000, dimension: 40, seed: 1)
    let queries = clustered(rows: 100, dimension: 40, seed: 2)
    let index = GraphIndex(dimension: 40, metric: metric, storage: storage, threads: 2)
    try index.upsert(vectors, ids: names(6000))
    #expect(index.problems() == [])
    #expect(try await index.recall(at: 10, queries: queries, ef: 200) > 0.99)
    #expect(try await index.recall(at: 10, queries: queries, ef: 20) < 1)

    // What is found is at the distance that the exact index gives.
    let exact = ExactIndex(dimension: 40, metric: metric, precision: storage == .fp16 ? .fp16 : .fp32)
    try exact.upsert(vectors, ids: names(6000))
    let expected = try await exact.search(queries, SearchRequest(k: 10))
    let found = try await index.search(queries, SearchRequest(k: 10), ef: 200)
    var same = 0
    for (found, expected) in zip(found, expected) {
      #expect(found.count == 10 && found == found.sorted())
      same += Set(found.map(\.id)).intersection(expected.map(\.id)).count
      guard storage != .int8 else { continue }
      let known = Dictionary(uniqueKeysWithValues: expected.map { ($0.id, $0.distance) })
      for hit in found { if let distance = known[hit.id] { #expect(hit.distance == distance) } }
    }
    #expect(same > (storage == .int8 ? 930 : 985))
  }

  /// The same calls give the same graph on any number of threads.
  @Test func deterministic() throws {
    let vectors = clustered(rows: 3000, dimension: 24, seed: 3)
    let graphs = try [1, 2, 5].map { threads in
      let index = GraphIndex(dimension: 24, storage: .int8, threads: threads)
      try index.upsert(vectors[rows: 0..<2500], ids: names(2500))
      index.remove((0..<700).map { "\($0 * 3)" })
      try index.upsert(vectors[rows: 2500..<3000], ids: (2500..<3000).map(String.init))
      return index.fingerprint
    }
    #expect(graphs[0] == graphs[1] && graphs[1] == graphs[2])
    let other = GraphIndex(dimension: 24, parameters: .init(seed: 2), storage: .int8)
    try other.upsert(vectors[rows: 0..<2500], ids: names(2500))
    #expect(other.fingerprint != graphs[0])
  }

  /// Half of the vectors go and come back: the graph is as good as a new one, and no larger.
  @Test func removesForGood() async throws {
    let rows = 6000
    let vectors = clustered(rows: rows, dimension: 32, seed: 4)
    let queries = clustered(rows: 200, dimension: 32, seed: 5)
    let index = GraphIndex(dimension: 32, metric: .innerProduct, threads: 2)
    try index.upsert(vectors, ids: names(rows))
    let fresh = try await index.recall(at: 10, queries: queries, ef: 40)
    let bytes = index.byteCount
    var random = SplitMix64(seed: 6)
    let half = (0..<rows).filter { _ in random.bits() % 2 == 0 }
    #expect(index.remove(half.map(String.init)) == half.count)
    #expect(index.count == rows - half.count)
    #expect(index.problems() == [])
    let found = try await index.search(queries, SearchRequest(k: 10))
    #expect(found.allSatisfy { $0.allSatisfy { !half.contains(Int($0.id) ?? 0) } })
    #expect(try await index.recall(at: 10, queries: queries, ef: 40) > fresh - 0.01)
    try index.upsert(EmbeddingMatrix(half.map { vectors[$0] }), ids: half.map(String.init))
    #expect(index.problems() == [])
    #expect(index.byteCount <= bytes * 102 / 100)
    #expect(try await index.recall(at: 10, queries: queries, ef: 40) > fresh - 0.01)

    // Nearly everything goes: the memory is given back.
    index.remove((100..<rows).map(String.init))
    #expect(index.problems() == [])
    #expect(index.byteCount < bytes / 10)
    #expect(index.remove(names(rows)) == 100)
    #expect(index.problems() == [] && index.count == 0)
    try index.upsert(vectors[rows: 0..<50], ids: names(50))
    #expect(index.problems() == [] && index.count == 50)
  }

  @Test func survivesAnyOrderOfChanges() async throws {
    let index = GraphIndex(dimension: 6, parameters: .init(m: 4, efConstruction: 30), threads: 2)
    var stored: [String: [Float]] = [:]
    var random = SplitMix64(seed: 7)
    for round in 0..<60 {
      let ids = (0..<[1, 2, 40, 300][Int(random.integer(4))]).map { _ in "\(random.integer(3000))" }
      if round % 3 == 2 {
        let there = Set(ids).filter { stored[$0] != nil }
        #expect(index.remove(ids) == there.count)
        for id in ids { stored[id] = nil }
      } else {
        let vectors = ids.map { _ in (0..<6).map { _ in random.next() } }
        try index.upsert(EmbeddingMatrix(vectors), ids: ids)
        for (id, vector) in zip(ids, vectors) { stored[id] = vector }
      }
      #expect(index.count == stored.count && index.ids == stored.keys.sorted())
      #expect(index.problems() == [])
    }
    for (id, vector) in stored { #expect(index.vector(id: id) == vector) }
    #expect(stored.count > 1100)
    let queries = EmbeddingMatrix((0..<50).map { _ in (0..<6).map { _ in random.next() } })
    #expect(try await index.recall(at: 5, queries: queries, ef: 100) > 0.98)
  }

  /// Copies of one vector do not keep a walk among themselves.
  @Test func copies() async throws {
    let others = clustered(rows: 1500, dimension: 16, seed: 12)
    let copy = others[7]
    let index = GraphIndex(dimension: 16, threads: 2)
    try index.upsert(others[rows: 0..<700], ids: names(700))
    try index.upsert(EmbeddingMatrix([[Float]](repeating: copy, count: 1200)), ids: (0..<1200).map { "copy \($0)" })
    try index.upsert(others[rows: 700..<1500], ids: (700..<1500).map(String.init))
    #expect(index.problems() == [])
    let queries = clustered(rows: 100, dimension: 16, seed: 13)
    #expect(try await index.recall(at: 10, queries: queries, ef: 100) > 0.98)
    let hits = try await index.search(EmbeddingMatrix([copy]), SearchRequest(k: 300), ef: 300)
    #expect(hits[0].count == 300 && hits[0].allSatisfy { $0.distance == 0 })
  }

  /// Whatever passes, there are `k` hits where so many pass, and those of the exact index where few do.
  @Test(arguments: [1, 3]) func filters(threads: Int) async throws {
    let rows = 12_000
    let vectors = clustered(rows: rows, dimension: 16, seed: 8)
    let queries = clustered(rows: 40, dimension: 16, seed: 9)
    let index = GraphIndex(dimension: 16, threads: threads)
    let exact = ExactIndex(dimension: 16)
    try index.upsert(vectors, ids: names(rows))
    try exact.upsert(vectors, ids: names(rows))
    for (divisor, least) in [(1, 0.98), (2, 0.98), (100, 1), (4001, 1), (20_000, 1)] {
      let passes: @Sendable (String) -> Bool = { (Int($0) ?? 0) % divisor == divisor - 1 }
      let found = try await index.search(queries, SearchRequest(k: 10), ef: 100, where: passes)
      let expected = try await exact.search(queries, SearchRequest(k: 10), where: passes)
      var same = 0
      for (found, expected) in zip(found, expected) {
        #expect(found.count == expected.count && found.allSatisfy { passes($0.id) })
        same += Set(found).intersection(expected).count
      }
      #expect(Double(same) >= least * Double(expected.map(\.count).reduce(0, +)), "one in \(divisor)")
    }
    let radius = try await index.search(queries, SearchRequest(radius: 0.1), ef: 100)
    let inside = try await exact.search(queries, SearchRequest(radius: 0.1))
    let share = Double(zip(radius, inside).map { Set($0).intersection($1).count }.reduce(0, +))
    #expect(share >= 0.98 * Double(inside.map(\.count).reduce(0, +)))
    #expect(radius.allSatisfy { $0.allSatisfy { $0.distance <= 0.1 } })
  }

  /// Searches see no state in between, and a vector that nobody touches always.
  @Test func readersAndAWriter() async throws {
    let rows = 4000
    let vectors = clustered(rows: rows, dimension: 12, seed: 10)
    let index = GraphIndex(dimension: 12, metric: .euclidean, threads: 2)
    try index.upsert(vectors[rows: 0..<2000], ids: names(2000))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        for start in stride(from: 2000, to: rows, by: 200) {
          let part = start..<start + 200
          try index.upsert(vectors[rows: part], ids: part.map(String.init))
          index.remove(part.prefix(150).map(String.init))
        }
      }
      for reader in 0..<3 {
        group.addTask {
          for round in 0..<15 {
            let part = (reader * 300 + round * 40) % 1900
            let found = try await index.search(vectors[rows: part..<part + 40], SearchRequest(k: 1), ef: 200)
            let right = zip(part..<part + 40, found).count { $1.first?.id == "\($0)" && $1.first?.distance == 0 }
            #expect(right >= 39)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(index.count == 2500 && index.problems() == [])
  }

  /// A code, its links, and nothing else.
  @Test func memory() throws {
    let index = GraphIndex(dimension: 1280, storage: .int8)
    try index.upsert(clustered(rows: 400, dimension: 1280, seed: 11), ids: names(400))
    #expect(index.byteCount <= 400 * 1536)
  }

  @Test func refuses() async throws {
    let index = GraphIndex(dimension: 2, storage: .fp16)
    let large = #expect(throws: SimilarityError.self) {
      try index.upsert(EmbeddingMatrix([[1, 70_000]]), ids: ["large"])
    }
    #expect(large?.code == .notFinite && large?.message.contains("65504") == true)
    let ef = await #expect(throws: SimilarityError.self) {
      try await index.search(EmbeddingMatrix([[1, 0]]), SearchRequest(k: 1), ef: 0)
    }
    #expect(ef?.code == .invalidArgument)
  }

  private func names(_ count: Int) -> [String] { (0..<count).map(String.init) }

  /// Around 100 centres, which are the same for every seed.
  private func clustered(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var centre = SplitMix64(seed: 99)
    let centres = (0..<100).map { _ in (0..<dimension).map { _ in centre.next() } }
    var random = SplitMix64(seed: seed)
    return EmbeddingMatrix(
      (0..<rows).map { _ in
        let around = centres[Int(random.integer(100))]
        let vector = around.map { $0 + 0.6 * random.next() }
        let norm = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return vector.map { $0 / norm }
      })
  }
}
