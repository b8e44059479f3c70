public import ImageSimilarityCore
package import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// An index file of FAISS (`faiss.write_index`, `faiss.read_index`), little-endian.
///
/// | tag | index | contents after the header |
/// |---|---|---|
/// | `IxFI`, `IxF2` | `IndexFlatIP`, `IndexFlatL2` | fp32 vectors `[rows, dimension]` |
/// | `IxM2`, `IxMp` | `IndexIDMap2`, `IndexIDMap` | one of the others, and an int64 label a row |
/// | `IHNf` | `IndexHNSWFlat` | the graph's levels, offsets and links, and an `IxFI` or `IxF2` |
///
/// FAISS has no cosine: a file of ``ImageSimilarityCore/Metric/cosine`` is written as an inner product over vectors divided by
/// their lengths, and read again as ``ImageSimilarityCore/Metric/innerProduct``. FAISS reports inner products as they are,
/// where this package reports their negatives, and squares of Euclidean distances.
///
/// A header has 37 bytes, so the vectors of a file are not aligned: they are copied when the file is read.
public struct FAISSFile: Sendable {
  public var metric: Metric
  public var vectors: EmbeddingMatrix
  /// One a row, as an id map has them; nil where rows have no other names than their numbers.
  public var labels: [Int64]?
  /// The links of an HNSW index; nil where the index is flat.
  package var graph: HNSWTopology?

  /// The largest dimension that FAISS reads.
  static let maximumDimension = 1 << 20

  /// A flat index, or an id map over one where there are labels.
  ///
  /// - Precondition: there are as many labels as rows, if there are any.
  public init(metric: Metric, vectors: EmbeddingMatrix, labels: [Int64]? = nil) {
    self.init(metric: metric, vectors: vectors, labels: labels, graph: nil)
  }

  package init(metric: Metric, vectors: EmbeddingMatrix, labels: [Int64]?, graph: HNSWTopology?) {
    precondition(labels.map { $0.count == vectors.rows } ?? true, "each of \(vectors.rows) rows has a label")
    self.metric = metric
    self.vectors = vectors
    self.labels = labels
    self.graph = graph
  }

  /// Reads and checks a file: sizes before anything is allocated, and a graph's links before they are followed.
  ///
  /// Elements may be NaN or infinite, and labels may repeat: FAISS does not forbid it.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/inputOutput`` where the file cannot be read,
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where it is none of the above.
  /// - Complexity: O(bytes) time and memory.
  public init(contentsOf url: URL) throws(SimilarityError) {
    try self.init(MappedFile(contentsOf: url))
  }

  package init(_ file: MappedFile) throws(SimilarityError) {
    self = try reading("FAISS", file, .invalidArgument) { () throws(FormatFailure) in
      var reader = FAISSReader(file)
      return try reader.file()
    }
  }

  /// Writes the file, all at once and durably; memory does not grow with it.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/inputOutput``; what was at `url` is then as it was.
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where FAISS could not read it: dimensions above 2^20, and
  ///   graphs of more than 2^31 - 1 rows or less than two links a row.
  public func write(to url: URL) throws(SimilarityError) {
    guard vectors.dimension <= Self.maximumDimension else {
      throw SimilarityError(
        .invalidArgument, "FAISS reads up to \(Self.maximumDimension) dimensions; found \(vectors.dimension)")
    }
    if let graph {
      guard graph.m >= 2, vectors.rows <= Int(Int32.max) else {
        throw SimilarityError(
          .invalidArgument,
          "FAISS reads graphs of at least 2 links a row and at most \(Int32.max) rows; found \(graph.m) and "
            + "\(vectors.rows)")
      }
    }
    var writer = try FAISSWriter(url)
    try writer.append(self)
    try writer.finish()
  }
}

/// The four letters with which an index begins.
enum FAISSTag: String {
  case flatInnerProduct = "IxFI"
  case flatEuclidean = "IxF2"
  case idMap = "IxMp"
  case idMapWithReverse = "IxM2"
  case hnsw = "IHNf"
}
