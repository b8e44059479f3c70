import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct GraphFAISSTests {
  /// A graph that FAISS built, walked by us. It has 60 rows; so that they are walked, vectors far away are added.
  @Test(arguments: ["hnsw-ip", "hnsw-l2", "idmap2-hnsw", "flat-l2", "empty-hnsw"]) func readsFAISS(_ name: String)
    async throws
  {
    let file = try FAISSFile(contentsOf: FAISSFileTests.url(name))
    let index = try GraphIndex(file, parameters: .init(m: 4))
    #expect(index.count == file.vectors.rows && index.metric == file.metric && index.parameters.m == file.graph?.m ?? 4)
    #expect(index.problems().filter { !$0.contains("cannot be reached") } == [])
    if let graph = file.graph {
      let written = index.faissFile()
      #expect(written.file.graph?.links == graph.links && written.file.graph?.levels == graph.levels)
      #expect(written.file.graph?.entryPoint == graph.entryPoint)
      #expect(written.ids == file.labels?.map(String.init) ?? (0..<file.vectors.rows).map(String.init))
    }
    var random = SplitMix64(seed: 1)
    let far = (0..<1100).map { _ in (0..<8).map { _ in random.next() * 0.01 + (file.metric == .euclidean ? 100 : 0) } }
    try index.upsert(EmbeddingMatrix(far), ids: far.indices.map { "far \($0)" })
    guard file.vectors.rows > 0 else { return }
    #expect(try await index.recall(at: 5, queries: file.vectors, ef: 100) > 0.97)
  }

  /// Our graph as a file, and back: the same answers. Scripts/goldens/faiss.py --check opens such files with FAISS.
  @Test func writesAndReads() async throws {
    var random = SplitMix64(seed: 2)
    let vectors = EmbeddingMatrix((0..<3000).map { _ in (0..<24).map { _ in random.next() } })
    let index = GraphIndex(dimension: 24, metric: .euclidean, threads: 2)
    try index.upsert(vectors, ids: (0..<3000).map { "picture \($0)" })
    index.remove((0..<500).map { "picture \($0 * 2)" })
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "graph.faiss")
    let (file, ids) = index.faissFile()
    try file.write(to: url)
    let read = try GraphIndex(FAISSFile(contentsOf: url), ids: ids)
    #expect(read.count == 2500 && read.ids == index.ids && read.problems() == [])
    let expected = try await index.search(vectors[rows: 0..<100], SearchRequest(k: 10), ef: 30)
    #expect(try await read.search(vectors[rows: 0..<100], SearchRequest(k: 10), ef: 30) == expected)
  }

  @Test func refuses() throws {
    let file = try FAISSFile(contentsOf: FAISSFileTests.url("hnsw-l2"))
    for ids in [[], [String](repeating: "same", count: 60)] {
      let error = #expect(throws: SimilarityError.self) { try GraphIndex(file, ids: ids) }
      #expect(error?.code == .invalidArgument)
    }
  }
}
