internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct BenchSearch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench-search",
    abstract: "Measures how fast vectors are searched on this machine.",
    discussion: """
      The index alone, on vectors from NumPy files: two-dimensional arrays, a row a vector. The time is that of all queries, \
      the median of some repeats, with the index built and in memory.

      Modes:
        exact      the k nearest of each query
        graph      the same, nearly: an HNSW graph, which is built first
        neighbors  the k nearest of each of the vectors, itself left out

      Examples:
        imsim bench-search --vectors x.npy --queries q.npy --mode exact --threads 2
        imsim bench-search --vectors x.npy --queries q.npy --mode exact --batch 1 --metric ip --json --ids hits.npy
        imsim bench-search --vectors x.npy --queries q.npy --mode graph --ef 20,40,80 --storage int8
        imsim bench-search --vectors x.npy --mode neighbors -k 5
      """)

  enum Mode: String, CaseIterable, Encodable, ExpressibleByArgument {
    case exact, graph, neighbors
  }

  enum Distance: String, CaseIterable, Encodable, ExpressibleByArgument {
    case ip, cosine, l2

    var metric: Metric {
      switch self {
      case .ip: .innerProduct
      case .cosine: .cosine
      case .l2: .euclidean
      }
    }
  }

  enum Storage: String, CaseIterable, Encodable, ExpressibleByArgument {
    case fp32, fp16, int8

    var ofGraph: GraphIndex.Storage {
      switch self {
      case .fp32: .fp32
      case .fp16: .fp16
      case .int8: .int8
      }
    }
  }

  /// Numbers of vectors, separated by commas.
  struct EFs: ExpressibleByArgument {
    static let range = 1...1 << 20
    var values: [Int]

    init(values: [Int]) { self.values = values }

    init?(argument: String) {
      let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
      values = parts.compactMap { Int($0) }.filter(Self.range.contains)
      if values.count != parts.count { return nil }
    }

    var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
  }

  @Option(help: ArgumentHelp("The vectors to search.", valueName: "x.npy"))
  var vectors: String

  @Option(help: ArgumentHelp("The queries.", valueName: "q.npy"))
  var queries: String?

  @Option(name: [.short, .long], help: "Neighbours of each query.")
  var k = 10

  @Option(help: "What to measure.")
  var mode: Mode

  @Option(help: "How far apart two vectors are: the inner product, the cosine, or the Euclidean distance.")
  var metric = Distance.cosine

  @Option(help: "How the vectors' elements are stored; int8 is for graphs.")
  var storage = Storage.fp32

  @Option(help: "Links of a vector in a graph.")
  var m = 16

  @Option(help: "Near vectors that a graph collects for each that it adds.")
  var efConstruction = 200

  @Option(
    help: ArgumentHelp("Near vectors that a graph collects for a query, a measurement for each.", valueName: "ef,ef"))
  var ef = EFs(values: [50])

  @Option(help: "Threads of a search, and of building a graph.")
  var threads = 1

  @Option(help: "Queries of a call; the calls come one after the other. Default: all.")
  var batch: Int?

  @Option(help: "How often all queries are searched.")
  var repeats = 5

  @Option(
    help: ArgumentHelp("Write the rows of the hits: int64, [queries, k], -1 where fewer.", valueName: "hits.npy"))
  var ids: String?

  @Flag(
    help: """
      Measure once for every line of standard input, which is an ef for a graph, so that another program can take turns with \
      this one.
      """)
  var paced = false

  @Flag(help: "Print a JSON object for every measurement.")
  var json = false

  func validate() throws {
    guard (1...65_536).contains(k) else {
      throw ValidationError("--k is the number of neighbours wanted, from 1 to 65536; found \(k)")
    }
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads is a number from 1 to 1024; found \(threads)")
    }
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is a number from 1 to 1000; found \(repeats)")
    }
    if let batch, batch < 1 { throw ValidationError("--batch is a number of queries, at least 1; found \(batch)") }
    guard (2...512).contains(m) else { throw ValidationError("--m is a number from 2 to 512; found \(m)") }
    guard EFs.range.contains(efConstruction) else {
      throw ValidationError("--ef-construction is a number from 1 to 2^20; found \(efConstruction)")
    }
    guard storage != .int8 || mode == .graph else { throw ValidationError("--storage int8 is for --mode graph") }
    switch mode {
    case .neighbors:
      guard queries == nil, batch == nil else {
        throw ValidationError("--mode neighbors takes neither --queries nor --batch: every vector is a query")
      }
    case .exact, .graph:
      guard queries != nil else { throw ValidationError("--mode \(mode.rawValue) needs --queries") }
    }
  }

  private struct Report: Encodable {
    var mode: Mode
    var metric: Distance
    var storage: Storage
    var vectors: Int
    var dimension: Int
    var queries: Int
    var k: Int
    var threads: Int
    var batch: Int
    var seconds: Double
    var batchSeconds: Double
    var batchProcessorSeconds: Double
    var queriesPerSecond: Double
    var buildSeconds: Double
    var buildProcessorSeconds: Double
    var recall: Double
    // Of graphs.
    var m: Int?
    var efConstruction: Int?
    var ef: Int?
    var bytesPerVector: Double?
    // Of the machine.
    var kernels: String
    var cpu: String

    private enum CodingKeys: String, CodingKey {
      case mode, metric, storage, vectors, dimension, queries, k, threads, batch, seconds, m, ef, kernels, cpu
      case batchSeconds = "batch_seconds"
      case batchProcessorSeconds = "batch_cpu_seconds"
      case queriesPerSecond = "queries_per_second"
      case buildSeconds = "build_seconds"
      case buildProcessorSeconds = "build_cpu_seconds"
      case recall = "recall_at_k"
      case efConstruction = "ef_construction"
      case bytesPerVector = "bytes_per_vector"
    }
  }

  /// An index with the queries to ask it.
  private struct Contestant {
    /// How many queries there are.
    var queries: Int
    /// The hits of the queries in a range; the number is the ef of a graph.
    var search: (Range<Int>, Int) async throws -> [[Neighbor]]
    /// The fraction of the nearest k that is among these hits.
    var recall: ([[Neighbor]]) -> Double = { _ in 1 }
    var bytesPerVector: Double?
  }

  /// What building took: by the clock, and of processor time.
  private struct BuildTime {
    var seconds: Double
    var processorSeconds: Double
  }

  func run() async throws {
    let vectors = try read(self.vectors)
    let queries = try self.queries.map { try read($0, dimension: vectors.dimension) }
    let (contestant, built) = try await prepare(vectors, queries)
    guard paced else {
      for ef in mode == .graph ? ef.values : [0] { try await measure(contestant, ef: ef, of: vectors, built) }
      return
    }
    while let line = readLine() { try await measure(contestant, ef: try ef(line), of: vectors, built) }
  }

  private func read(_ path: String, dimension: Int? = nil) throws -> EmbeddingMatrix {
    let matrix = try NumPyFile.read(contentsOf: URL(argument: path))
    guard matrix.rows > 0 else { throw SimilarityError(.invalidArgument, "\(path) has no rows") }
    if let dimension, matrix.dimension != dimension {
      throw SimilarityError(
        .dimensionMismatch,
        "expected rows of \(dimension) elements in \(path), as in \(vectors); found rows of \(matrix.dimension)")
    }
    return matrix
  }

  /// Builds the index. Its time ends where the answers of brute force, which only its recall needs, are looked for.
  private func prepare(
    _ vectors: EmbeddingMatrix, _ queries: EmbeddingMatrix?
  ) async throws -> (Contestant, BuildTime) {
    let start = ContinuousClock.now
    let processorStart = ProcessorTime.ofProcess
    func time() -> BuildTime {
      BuildTime(
        seconds: start.duration(to: .now) / .seconds(1),
        processorSeconds: (ProcessorTime.ofProcess - processorStart) / .seconds(1))
    }
    let ids = RowNumbers(count: vectors.rows).ids
    let request = SearchRequest(k: k)
    guard mode == .graph, let queries else {
      let index = try exactIndex(vectors, ids)
      guard let queries else {
        let search = { (_: Range<Int>, _: Int) in try await index.neighborGraph(request).map(\.neighbors) }
        return (Contestant(queries: vectors.rows, search: search), time())
      }
      let search = { (rows: Range<Int>, _: Int) in try await index.search(queries[rows: rows], request) }
      return (Contestant(queries: queries.rows, search: search), time())
    }
    let (search, bytesPerVector) = try graph(vectors, queries, ids)
    let built = time()
    let recall = try await recall(vectors, queries, ids)
    return (
      Contestant(queries: queries.rows, search: search, recall: recall, bytesPerVector: bytesPerVector), built
    )
  }

  private func exactIndex(_ vectors: EmbeddingMatrix, _ ids: [String]) throws -> ExactIndex {
    let index = ExactIndex(
      dimension: vectors.dimension, metric: metric.metric, precision: storage == .fp16 ? .fp16 : .fp32, threads: threads
    )
    try index.upsert(vectors, ids: ids)
    return index
  }

  private func graph(
    _ vectors: EmbeddingMatrix, _ queries: EmbeddingMatrix, _ ids: [String]
  ) throws -> (search: (Range<Int>, Int) async throws -> [[Neighbor]], bytesPerVector: Double) {
    let index = GraphIndex(
      dimension: vectors.dimension, metric: metric.metric,
      parameters: GraphIndex.Parameters(m: m, efConstruction: efConstruction), storage: storage.ofGraph,
      threads: threads)
    try index.upsert(vectors, ids: ids)
    let request = SearchRequest(k: k)
    return (
      { try await index.search(queries[rows: $0], request, ef: $1) }, Double(index.byteCount) / Double(vectors.rows)
    )
  }

  /// Compares hits with those of brute force on the vectors as they were given.
  private func recall(
    _ vectors: EmbeddingMatrix, _ queries: EmbeddingMatrix, _ ids: [String]
  ) async throws -> ([[Neighbor]]) -> Double {
    let index = ExactIndex(dimension: vectors.dimension, metric: metric.metric, threads: threads)
    try index.upsert(vectors, ids: ids)
    let nearest = try await index.search(queries, SearchRequest(k: k)).map { Set($0.map(\.id)) }
    let count = nearest.reduce(0) { $0 + $1.count }
    return { hits in
      let found = zip(hits, nearest).reduce(0) { sum, pair in sum + pair.0.count { pair.1.contains($0.id) } }
      return Double(found) / Double(count)
    }
  }

  /// The ef in a line of standard input.
  private func ef(_ line: String) throws -> Int {
    if line.isEmpty { return ef.values[0] }
    guard let ef = Int(line), EFs.range.contains(ef) else {
      throw SimilarityError(
        .invalidArgument, "standard input: expected an ef from 1 to 2^20; found '\(line.prefix(32))'")
    }
    return ef
  }

  private func measure(
    _ contestant: Contestant, ef: Int, of vectors: EmbeddingMatrix, _ built: BuildTime
  ) async throws {
    let batch = min(batch ?? contestant.queries, contestant.queries)
    let meter = SearchMeter(queries: contestant.queries, batch: batch, repeats: repeats)
    let result = try await meter.measure { try await contestant.search($0, ef) }
    if let ids { try RowNumbers.write(result.hits, k: k, to: URL(argument: ids)) }
    let isGraph = mode == .graph
    let report = Report(
      mode: mode, metric: metric, storage: storage, vectors: vectors.rows, dimension: vectors.dimension,
      queries: contestant.queries, k: k, threads: threads, batch: batch, seconds: result.seconds,
      batchSeconds: result.batchSeconds, batchProcessorSeconds: result.batchProcessorSeconds,
      queriesPerSecond: Double(contestant.queries) / result.seconds,
      buildSeconds: built.seconds, buildProcessorSeconds: built.processorSeconds,
      recall: contestant.recall(result.hits), m: isGraph ? m : nil, efConstruction: isGraph ? efConstruction : nil,
      ef: isGraph ? ef : nil, bytesPerVector: contestant.bytesPerVector,
      kernels: NetworkExtractor.instructionSet, cpu: Processor.current.model)
    if json { return try sayJSON(report) }
    let ofGraph = isGraph ? ", m \(m), ef construction \(efConstruction), ef \(ef)" : ""
    let size = contestant.bytesPerVector.map { ", \($0.formatted(digits: 0)) bytes a vector" } ?? ""
    say(
      """
      \(report.queriesPerSecond.formatted(digits: 1)) queries/s
      call           \((report.batchSeconds * 1000).formatted(digits: 3)) ms, \(batch) of \(report.queries) queries
      vectors        \(report.vectors) x \(report.dimension), \(storage.rawValue), \(metric.rawValue)
      work           \(mode.rawValue), k \(k), \(threads.counted("thread"))\(ofGraph)
      recall         \(report.recall.formatted(digits: 4))
      built in       \(report.buildSeconds.formatted(digits: 3)) s\(size)
      kernels        \(report.kernels)
      processor      \(report.cpu)
      """)
  }
}
