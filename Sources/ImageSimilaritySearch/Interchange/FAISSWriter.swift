import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// Writes an index file, byte for byte as FAISS does.
struct FAISSWriter: ~Copyable {
  private var file: AtomicFile

  init(_ url: URL) throws(SimilarityError) {
    file = try AtomicFile(url)
  }

  consuming func finish() throws(SimilarityError) {
    try file.commit()
  }

  mutating func append(_ index: FAISSFile) throws(SimilarityError) {
    let shape = Shape(rows: index.vectors.rows, dimension: index.vectors.dimension, metric: index.metric)
    if index.labels != nil { try append(Self.header(.idMapWithReverse, shape)) }
    if let graph = index.graph {
      try append(Self.header(.hnsw, shape))
      try topology(graph)
    }
    try append(Self.flatHeader(shape))
    try Self.append(index.vectors, shape.metric, to: &file)
    if let labels = index.labels { try vector(labels) }
  }

  // MARK: - Parts of a file

  /// What a header says.
  struct Shape {
    var rows: Int
    var dimension: Int
    var metric: Metric
  }

  static func header(_ tag: FAISSTag, _ shape: Shape) -> [UInt8] {
    var bytes = Array(tag.rawValue.utf8) + littleEndian(Int32(shape.dimension)) + littleEndian(Int64(shape.rows))
    // Two numbers that mean nothing, and that the index is trained.
    bytes += littleEndian(Int64(1 << 20)) + littleEndian(Int64(1 << 20)) + [1]
    return bytes + littleEndian(Int32(shape.metric == .euclidean ? 1 : 0))
  }

  /// The beginning of a flat index, which the vectors follow.
  static func flatHeader(_ shape: Shape) -> [UInt8] {
    header(shape.metric == .euclidean ? .flatEuclidean : .flatInnerProduct, shape)
      + littleEndian(UInt64(shape.rows * shape.dimension))
  }

  /// The vectors of a flat index, or some of them; for cosine divided by their lengths, zero vectors as they are.
  static func append(_ vectors: EmbeddingMatrix, _ metric: Metric, to file: inout AtomicFile) throws(SimilarityError) {
    guard metric == .cosine else {
      return try vectors.withElements { elements throws(SimilarityError) in try unsafe file.append(elements.bytes) }
    }
    let rowsAtOnce = max(1, (1 << 18) / vectors.dimension)
    for start in stride(from: 0, to: vectors.rows, by: rowsAtOnce) {
      var values: [Float] = []
      values.reserveCapacity(rowsAtOnce * vectors.dimension)
      for row in start..<min(start + rowsAtOnce, vectors.rows) {
        let vector = vectors[row]
        let length = vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        for element in vector { values.append(length > 0 ? Float(Double(element) / length) : element) }
      }
      try unsafe file.append(values.span.bytes)
    }
  }

  static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private mutating func topology(_ graph: HNSWTopology) throws(SimilarityError) {
    let levels = max(Int(graph.levels.max() ?? 0) + 1, 1)
    var probabilities = Self.levelProbabilities(m: graph.m)
    probabilities += repeatElement(0, count: max(0, levels - probabilities.count))
    try vector(probabilities)
    try vector([0] + probabilities.indices.map { Int32(($0 + 2) * graph.m) })
    try vector(graph.levels.map { Int32($0) + 1 })
    var offsets: [UInt64] = [0]
    offsets.reserveCapacity(graph.levels.count + 1)
    for level in graph.levels { offsets.append(offsets[offsets.count - 1] + UInt64((Int(level) + 2) * graph.m)) }
    try vector(offsets)
    try vector(graph.links)
    try value(Int32(graph.entryPoint))
    try value(Int32(graph.levels.max().map(Int.init) ?? -1))
    try value(Int32(clamping: graph.efConstruction))
    try value(Int32(clamping: graph.ef))
    // A setting of old versions.
    try value(Int32(1))
  }

  /// The chances of each level where a row reaches the next one with probability `1 / m` (Malkov, Yashunin 2018), down to
  /// 1e-9; in the precision in which FAISS computes them, so that the bytes agree.
  private static func levelProbabilities(m: Int) -> [Double] {
    let scale = Float(1 / log(Double(m)))
    var probabilities: [Double] = []
    while true {
      let level = Float(probabilities.count)
      let probability = Float(exp(Double(-level / scale)) * (1 - exp(Double(-1 / scale))))
      if Double(probability) < 1e-9 { return probabilities }
      probabilities.append(Double(probability))
    }
  }

  private mutating func vector<T: BitwiseCopyable>(_ elements: [T]) throws(SimilarityError) {
    try value(UInt64(elements.count))
    try append(elements)
  }

  private mutating func value(_ value: some FixedWidthInteger) throws(SimilarityError) {
    try append(Self.littleEndian(value))
  }

  private mutating func append(_ elements: [some BitwiseCopyable]) throws(SimilarityError) {
    try unsafe file.append(elements.span.bytes)
  }
}
