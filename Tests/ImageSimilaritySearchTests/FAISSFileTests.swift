import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Files that FAISS has written are read, and written again as they were; see Scripts/goldens/faiss.py.
///
/// Where the environment variable `IMSIM_FAISS_OUTPUT` names a folder, files are left there for the script's `--check`.
@Suite struct FAISSFileTests {
  struct Goldens: Decodable {
    struct File: Decodable {
      var rows: Int
      var neighbors: [[Int]]
      var distances: [[Float]]
    }
    var queries: [Float]
    var files: [String: File]
  }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Goldens")
  static let names = [
    "empty", "empty-hnsw", "flat-ip", "flat-l2", "hnsw-ip", "hnsw-l2", "idmap-ip", "idmap-l2", "idmap2-hnsw",
    "idmap2-ip",
    "idmap2-l2",
  ]

  static func url(_ name: String) -> URL { folder.appending(path: "\(name).faiss") }

  @Test(arguments: names) func read(_ name: String) async throws {
    let goldens = try JSONDecoder().decode(
      Goldens.self, from: Data(contentsOf: Self.folder.appending(path: "faiss.json")))
    let golden = try #require(goldens.files[name])
    let file = try FAISSFile(contentsOf: Self.url(name))
    #expect(file.vectors.rows == golden.rows && file.vectors.dimension == 8)
    #expect(file.metric == (name.hasSuffix("ip") ? .innerProduct : .euclidean))
    let labels: [Int64] = (0..<60).map { Int64($0) * 3 - 7 }
    #expect(file.labels == (name.hasPrefix("idmap") ? labels : nil))
    #expect((file.graph != nil) == name.contains("hnsw"))
    if golden.rows == 0 { return }

    let index = ExactIndex(dimension: 8, metric: file.metric)
    try index.upsert(file.vectors, ids: (0..<golden.rows).map(String.init))
    let queries = EmbeddingMatrix(rows: 5, dimension: 8, values: goldens.queries)
    for (query, hits) in try await index.search(queries, SearchRequest(k: 5)).enumerated() {
      #expect(hits.map(\.id) == golden.neighbors[query].map(String.init))
      for (hit, theirs) in zip(hits, golden.distances[query]) {
        let ours = file.metric == .euclidean ? hit.distance * hit.distance : -hit.distance
        #expect(abs(ours - theirs) <= 1e-5 * max(1, abs(theirs)))
      }
    }
  }

  @Test(arguments: names.filter { !$0.hasPrefix("idmap-") }) func writtenAsFAISSDoes(_ name: String) throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "written.faiss")
    try FAISSFile(contentsOf: Self.url(name)).write(to: url)
    #expect(try Data(contentsOf: url) == Data(contentsOf: Self.url(name)))
  }

  /// With any number of links, the header's tables are FAISS's: `Goldens/empty-hnsw.faiss` has 16.
  @Test func graphsOfOneRow() throws {
    let folder = try TemporaryFolder()
    for m in [2, 3, 5, 32, 64, 200] {
      let url = folder.url.appending(path: "\(m).faiss")
      let graph = HNSWTopology(
        m: m, efConstruction: 40, ef: 16, entryPoint: 0, levels: [1], links: [Int32](repeating: -1, count: 3 * m))
      try FAISSFile(metric: .euclidean, vectors: EmbeddingMatrix([[1, 2]]), labels: nil, graph: graph).write(to: url)
      let read = try #require(try FAISSFile(contentsOf: url).graph)
      #expect(read.m == m && read.levels == [1] && read.links == graph.links && read.entryPoint == 0)
    }
  }

  @Test func cosineIsInnerProductOfNormalizedVectors() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "cosine.faiss")
    try FAISSFile(metric: .cosine, vectors: EmbeddingMatrix([[3, 4], [0, 0], [0, -1e30]])).write(to: url)
    let file = try FAISSFile(contentsOf: url)
    #expect(file.metric == .innerProduct && file.labels == nil)
    let expected: [[Float]] = [[0.6, 0.8], [0, 0], [0, -1]]
    #expect((0..<3).map { file.vectors[$0] } == expected)
  }

  /// A change to a golden file, and words of the message that it leads to.
  private static let changes: [(name: String, offset: Int, bytes: [UInt8], words: String)] = [
    // The tag, the dimension, the rows, the metric, the number of elements.
    ("flat-ip", 3, [UInt8(ascii: "Q")], "found \"IxFQ\""),
    ("flat-ip", 4, [0, 0, 0, 0], "dimension of 1 to 1048576; found 0"),
    ("flat-ip", 4, [0xff, 0xff, 0xff, 0xff], "found -1"),
    ("flat-ip", 8, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "9223372036854775807 vectors do not fit"),
    ("flat-ip", 33, [1], "expected IxFI to have the metric inner-product; found euclidean"),
    ("flat-ip", 33, [7], "expected the metric 0 (inner product) or 1 (Euclidean); found 7"),
    ("flat-ip", 37, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "out of range"),
    ("flat-ip", 37, [0], "expected 60 x 8 elements; found 256"),
    ("idmap2-ip", 8, [59], "expected 59 vectors of 8 elements"),
    ("idmap2-ip", 37, Array("IxM2".utf8), "expected an index that an id map may hold; found IxM2"),
    // The graph: the second number of links, the first level, the first link.
    ("hnsw-l2", 181, [13], "with 4 a level; found 13"),
    ("hnsw-l2", 245, [99], "row 0 is on 99 levels; expected 1 to 15"),
    ("hnsw-l2", 501, [7], "the links of row 1 at"),
    ("hnsw-l2", 989, [60], "row 0 has the link 60 on level 0"),
    ("hnsw-l2", 989, [0], "row 0 has the link 0 on level 0"),
  ]

  @Test(arguments: changes.indices) func refused(_ change: Int) throws {
    let (name, offset, bytes, words) = Self.changes[change]
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "changed.faiss")
    var data = try Data(contentsOf: Self.url(name))
    data.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    try data.write(to: url)
    let error = #expect(throws: SimilarityError.self) { try FAISSFile(contentsOf: url) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("changed.faiss is not a valid FAISS file") == true)
  }

  @Test(arguments: names) func truncatedAtEveryLength(_ name: String) throws {
    let data = try [UInt8](Data(contentsOf: Self.url(name)))
    for count in data.indices {
      unsafe data.withUnsafeBytes { memory in
        let part = unsafe UnsafeRawBufferPointer(rebasing: memory[..<count])
        _ = #expect(throws: SimilarityError.self) { try unsafe FAISSFile(MappedFile(bytes: part, name: "part")) }
      }
    }
    _ = unsafe (data + [0]).withUnsafeBytes { memory in
      #expect(throws: SimilarityError.self) { try unsafe FAISSFile(MappedFile(bytes: memory, name: "longer")) }
    }
  }

  /// Changed files are read or refused, and hold no more than they have bytes. `IMSIM_FUZZ_SECONDS` asks for more of them.
  @Test(arguments: names) func mutations(_ name: String) throws {
    let original = try [UInt8](Data(contentsOf: Self.url(name)))
    var random = SplitMix64(seed: UInt64(original.count))
    let seconds = ProcessInfo.processInfo.environment["IMSIM_FUZZ_SECONDS"].flatMap(Double.init)
    let start = ContinuousClock.now
    var (count, refused) = (0, 0)
    while seconds.map({ start.duration(to: .now) < .seconds($0) }) ?? (count < 2000) {
      count += 1
      var bytes = original
      for _ in 0...random.integer(3) {
        let place = Int(random.integer(UInt64(bytes.count)))
        switch random.integer(4) {
        case 0: bytes[place] ^= 1 << UInt8(random.integer(8))
        case 1: bytes[place] = UInt8(random.integer(256))
        case 2: bytes.removeSubrange(max(1, place)...)
        default:
          // A size of 64 bits, often near a limit.
          let value =
            random.integer(1 << 30) << random.integer(64) &- random.integer(3)
          for i in 0..<min(8, bytes.count - place) {
            bytes[place + i] = UInt8(truncatingIfNeeded: value >> UInt64(8 * i))
          }
        }
      }
      unsafe bytes.withUnsafeBytes { memory in
        do throws(SimilarityError) {
          let file = try unsafe FAISSFile(MappedFile(bytes: memory, name: "mutation"))
          let links = file.graph.map { $0.links.count * 4 + $0.levels.count } ?? 0
          let held = file.vectors.rows * file.vectors.dimension * 4 + links + (file.labels?.count ?? 0) * 8
          #expect(held <= bytes.count)
        } catch {
          refused += 1
          #expect(!error.message.isEmpty && error.message.utf8.count < 2000)
        }
      }
    }
    #expect(refused > 0)
    if seconds != nil { print("fuzzed \(name).faiss: \(count) files, \(refused) refused") }
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["IMSIM_FAISS_OUTPUT"] != nil, "needs IMSIM_FAISS_OUTPUT"))
  func filesForFAISS() throws {
    let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["IMSIM_FAISS_OUTPUT"] ?? "")
    var random = SplitMix64(seed: 5)
    let vectors = EmbeddingMatrix(rows: 300, dimension: 24, values: (0..<300 * 24).map { _ in random.next() })
    for metric in Metric.allCases {
      let large: [Int64] = (0..<300).map { Int64($0) * 1_000_000_007 }
      for labels in [nil, large] {
        let name = metric.rawValue + (labels == nil ? "" : "-labels")
        let url = folder.appending(path: "\(name).faiss")
        try FAISSFile(metric: metric, vectors: vectors, labels: labels).write(to: url)
        try NumPyFile.write(vectors, to: url.deletingPathExtension().appendingPathExtension("npy"))
      }
    }
    for name in ["hnsw-ip", "hnsw-l2", "idmap2-hnsw"] {
      let file = try FAISSFile(contentsOf: Self.url(name))
      try file.write(to: folder.appending(path: "\(name).faiss"))
      try NumPyFile.write(file.vectors, to: folder.appending(path: "\(name).npy"))
    }
  }
}
