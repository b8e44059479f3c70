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
        neighbors  the k nearest of each of the vectors, itself left out

      Examples:
        imsim bench-search --vectors x.npy --queries q.npy --mode exact --threads 2
        imsim bench-search --vectors x.npy --queries q.npy --mode exact --batch 1 --metric ip --json --ids hits.npy
        imsim bench-search --vectors x.npy --mode neighbors -k 5
      """)

  enum Mode: String, CaseIterable, Encodable, ExpressibleByArgument {
    case exact, neighbors
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
    case fp32, fp16
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

  @Option(help: "How the vectors' elements are stored.")
  var storage = Storage.fp32

  @Option(help: "Threads of a search.")
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
      Measure once for every line of standard input, so that another program can take turns with this one.
      """)
  var paced = false

  @Flag(help: "Print a JSON object for every measurement.")
  var json = false

  func validate() throws {
    guard k >= 1 else { throw ValidationError("--k is the number of neighbours wanted, at least 1; found \(k)") }
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads is a number from 1 to 1024; found \(threads)")
    }
    guard (1...1000).contains(repeats) else {
      throw ValidationError("--repeats is a number from 1 to 1000; found \(repeats)")
    }
    if let batch, batch < 1 { throw ValidationError("--batch is a number of queries, at least 1; found \(batch)") }
    switch mode {
    case .neighbors:
      guard queries == nil, batch == nil else {
        throw ValidationError("--mode neighbors takes neither --queries nor --batch: every vector is a query")
      }
    case .exact:
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
    var queriesPerSecond: Double
    var buildSeconds: Double
    var buildProcessorSeconds: Double
    var recall: Double
    var kernels: String
    var cpu: String

    private enum CodingKeys: String, CodingKey {
      case mode, metric, storage, vectors, dimension, queries, k, threads, batch, seconds, kernels, cpu
      case batchSeconds = "batch_seconds"
      case queriesPerSecond = "queries_per_second"
      case buildSeconds = "build_seconds"
      case buildProcessorSeconds = "build_cpu_seconds"
      case recall = "recall_at_k"
    }
  }

  /// An index with the queries to ask it.
  private struct Contestant {
    var vectors: EmbeddingMatrix
    /// How many queries there are.
    var queries: Int
    /// The hits of the queries in a range.
    var search: (Range<Int>) async throws -> [[Neighbor]]
    /// The fraction of the exact hits that is among these.
    var recall: ([[Neighbor]]) -> Double
    var buildSeconds = 0.0
    var buildProcessorSeconds = 0.0
  }

  func run() async throws {
    let vectors = try read(self.vectors)
    let queries = try self.queries.map { try read($0, dimension: vectors.dimension) }
    let start = ContinuousClock.now
    let processorStart = ProcessorTime.ofProcess
    var contestant = try await build(vectors, queries)
    contestant.buildSeconds = start.duration(to: .now) / .seconds(1)
    contestant.buildProcessorSeconds = (ProcessorTime.ofProcess - processorStart) / .seconds(1)
    if paced {
      while readLine() != nil { try await measure(contestant) }
    } else {
      try await measure(contestant)
    }
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

  private func build(_ vectors: EmbeddingMatrix, _ queries: EmbeddingMatrix?) async throws -> Contestant {
    let index = ExactIndex(
      dimension: vectors.dimension, metric: metric.metric, precision: storage == .fp16 ? .fp16 : .fp32, threads: threads
    )
    try index.upsert(vectors, ids: RowNumbers(count: vectors.rows).ids)
    let request = SearchRequest(k: k)
    guard let queries else {
      return Contestant(
        vectors: vectors, queries: vectors.rows,
        search: { _ in try await index.neighborGraph(request).map(\.neighbors) }, recall: { _ in 1 })
    }
    return Contestant(
      vectors: vectors, queries: queries.rows,
      search: { try await index.search(queries[rows: $0], request) }, recall: { _ in 1 })
  }

  private func measure(_ contestant: Contestant) async throws {
    let batch = min(batch ?? contestant.queries, contestant.queries)
    let meter = SearchMeter(queries: contestant.queries, batch: batch, repeats: repeats)
    let result = try await meter.measure(contestant.search)
    if let ids { try RowNumbers.write(result.hits, k: k, to: URL(argument: ids)) }
    let report = Report(
      mode: mode, metric: metric, storage: storage, vectors: contestant.vectors.rows,
      dimension: contestant.vectors.dimension, queries: contestant.queries, k: k, threads: threads, batch: batch,
      seconds: result.seconds, batchSeconds: result.batchSeconds,
      queriesPerSecond: Double(contestant.queries) / result.seconds, buildSeconds: contestant.buildSeconds,
      buildProcessorSeconds: contestant.buildProcessorSeconds, recall: contestant.recall(result.hits),
      kernels: NetworkExtractor.instructionSet, cpu: Processor.current.model)
    if json { return try sayJSON(report) }
    say(
      """
      \(report.queriesPerSecond.formatted(digits: 1)) queries/s
      call           \((report.batchSeconds * 1000).formatted(digits: 3)) ms, \(batch) of \(report.queries) queries
      vectors        \(report.vectors) x \(report.dimension), \(storage.rawValue), \(metric.rawValue)
      work           \(mode.rawValue), k \(k), \(threads.counted("thread"))
      recall         \(report.recall.formatted(digits: 4))
      built in       \(report.buildSeconds.formatted(digits: 3)) s
      kernels        \(report.kernels)
      processor      \(report.cpu)
      """)
  }
}
