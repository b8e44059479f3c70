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
    if let labels = index.labels {
      try header(.idMapWithReverse, index)
      try unlabelled(index)
      try vector(labels)
    } else {
      try unlabelled(index)
    }
  }

  private mutating func unlabelled(_ index: FAISSFile) throws(SimilarityError) {
    if let graph = index.graph {
      try header(.hnsw, index)
      try topology(graph)
    }
    try header(index.metric == .euclidean ? .flatEuclidean : .flatInnerProduct, index)
    try value(UInt64(index.vectors.rows * index.vectors.dimension))
    if index.metric == .cosine {
      try normalized(index.vectors)
    } else {
      try index.vectors.withElements { elements throws(SimilarityError) in try unsafe file.append(elements.bytes) }
    }
  }

  private mutating func header(_ tag: FAISSTag, _ index: FAISSFile) throws(SimilarityError) {
    try unsafe file.append(Array(tag.rawValue.utf8).span.bytes)
    try value(Int32(index.vectors.dimension))
    try value(Int64(index.vectors.rows))
    // Two numbers that mean nothing, and that the index is trained.
    try value(Int64(1 << 20))
    try value(Int64(1 << 20))
    try value(UInt8(1))
    try value(Int32(index.metric == .euclidean ? 1 : 0))
  }

  /// Vectors divided by their lengths, a few at a time; zero vectors as they are.
  private mutating func normalized(_ vectors: EmbeddingMatrix) throws(SimilarityError) {
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
    try unsafe file.append(elements.span.bytes)
  }

  private mutating func value<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) throws(SimilarityError) {
    try unsafe file.append([value.littleEndian].span.bytes)
  }
}
