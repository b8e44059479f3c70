public import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Writes the files of an ``EmbeddingTable`` part by part; memory does not grow with them.
///
/// The files appear at their paths with ``finish()``. Without that, nothing remains.
public struct EmbeddingTableWriter: ~Copyable {
  /// Number of rows of the whole table.
  public let rows: Int
  public let dimension: Int
  /// How many rows have been appended.
  public private(set) var written = 0
  private let format: EmbeddingTable.Format
  private let metric: Metric
  private var embeddings: AtomicFile
  private var records: AtomicFile

  /// - Parameter metric: What a FAISS index measures; see ``FAISSFile``. The other formats do not say.
  /// - Precondition: `dimension` is at least 1.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/inputOutput``, as do the other functions, and
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where FAISS does not go up to the dimension.
  public init(
    _ url: URL, as format: EmbeddingTable.Format, rows: Int, dimension: Int, metric: Metric
  ) throws(SimilarityError) {
    precondition(rows >= 0 && dimension > 0, "a table of \(rows) x \(dimension)")
    let header = try Self.header(format, rows: rows, dimension: dimension, metric: metric)
    var embeddings = try AtomicFile(url)
    try unsafe embeddings.append(header.span.bytes)
    let records = try AtomicFile(EmbeddingTable.recordsURL(beside: url))
    self.rows = rows
    self.dimension = dimension
    self.format = format
    self.metric = metric
    self.embeddings = embeddings
    self.records = records
  }

  /// What comes before the elements.
  private static func header(
    _ format: EmbeddingTable.Format, rows: Int, dimension: Int, metric: Metric
  ) throws(SimilarityError) -> [UInt8] {
    switch format {
    case .numPy:
      return NumPyWriter.header(rows: rows, dimension: dimension)
    case .safetensors:
      var layout = SafetensorsLayout()
      layout.add(EmbeddingTable.tensorName, .f32, shape: [rows, dimension])
      return Array(layout.header)
    case .faiss:
      try FAISSFile.check(dimension: dimension)
      let shape = FAISSWriter.Shape(rows: rows, dimension: dimension, metric: metric)
      return FAISSWriter.header(.idMapWithReverse, shape) + FAISSWriter.flatHeader(shape)
    }
  }

  /// The next rows and their records. That the ids are unique and the elements finite is for the caller to see to.
  ///
  /// - Precondition: there are as many records as embeddings, and no more than ``rows`` in all.
  public mutating func append(_ embeddings: EmbeddingMatrix, _ records: [ImageRecord]) throws(SimilarityError) {
    precondition(
      records.count == embeddings.rows && embeddings.dimension == dimension && records.count <= rows - written,
      "\(records.count) records and \(embeddings.rows) x \(embeddings.dimension) embeddings for \(rows - written) rows")
    // Only FAISS has no cosine, and wants normalized vectors in its place.
    try FAISSWriter.append(
      embeddings, format == .faiss ? metric : .innerProduct, to: &self.embeddings)
    for start in stride(from: 0, to: records.count, by: 1024) {
      let lines = try JSONLines.encode(Array(records[start..<min(start + 1024, records.count)]))
      try self.records.append(lines.bytes)
    }
    written += records.count
  }

  /// - Precondition: ``rows`` rows have been appended.
  public consuming func finish() throws(SimilarityError) {
    precondition(written == rows, "\(written) of \(rows) rows have been appended")
    if format == .faiss {
      // The labels.
      let count = FAISSWriter.littleEndian(UInt64(rows))
      try unsafe embeddings.append(count.span.bytes)
      for start in stride(from: 0, to: rows, by: 1 << 16) {
        let labels = (start..<min(start + (1 << 16), rows)).map(Int64.init)
        try unsafe embeddings.append(labels.span.bytes)
      }
    }
    try records.commit()
    try embeddings.commit()
  }
}
