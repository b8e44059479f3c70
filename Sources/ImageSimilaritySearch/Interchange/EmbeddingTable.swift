public import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Embeddings and what is known about the pictures they are of, outside a model: what other programs write and read.
///
/// In a file the embeddings stand alone, as fp32 `[rows, dimension]`. The records stand beside it under the same name with the
/// extension `jsonl`: one ``ImageRecord`` a line, in the order of the rows.
public struct EmbeddingTable: Sendable {
  public let embeddings: EmbeddingMatrix
  /// One a row, with unique ids.
  public let records: [ImageRecord]

  /// The kinds of files; the raw values are their extensions.
  public enum Format: String, Sendable, Hashable, Codable, CaseIterable {
    /// A NumPy array.
    case numPy = "npy"
    /// A safetensors file with the tensor `embeddings`.
    case safetensors
    /// A FAISS index, flat and with the rows' numbers as labels; see ``FAISSFile``.
    case faiss
  }

  static let tensorName = "embeddings"

  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` unless each row has a record with an id of its own,
  ///   ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where an element is NaN or infinite.
  public init(embeddings: EmbeddingMatrix, records: [ImageRecord]) throws(SimilarityError) {
    guard records.count == embeddings.rows else {
      throw SimilarityError(
        .invalidArgument, "expected \(embeddings.rows) records, one an embedding; found \(records.count)")
    }
    var rows: [String: Int] = [:]
    rows.reserveCapacity(records.count)
    for (row, record) in records.enumerated() {
      if let other = rows.updateValue(row, forKey: record.id) {
        throw SimilarityError(
          .invalidArgument, "rows \(other) and \(row) have the same id, \(record.id.debugDescription)")
      }
    }
    if let row = embeddings.firstNonFiniteRow() {
      throw SimilarityError(.notFinite, "the embedding in row \(row) has an element that is NaN or infinite")
    }
    self.embeddings = embeddings
    self.records = records
  }

  /// Reads a file, and the records of its rows where `records` names a file of them.
  ///
  /// A line of records may leave out the id. The id is then the row's label in a FAISS index, or else its number, in decimal
  /// digits. Lines that ``write(to:as:metric:)`` and `imsim embed` write, and keys that a record does not have, are understood.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/inputOutput``, or
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` with the place in the file.
  public init(contentsOf url: URL, as format: Format, records: URL? = nil) throws(SimilarityError) {
    let embeddings: EmbeddingMatrix
    var labels: [Int64]?
    switch format {
    case .numPy:
      embeddings = try NumPyFile.read(contentsOf: url)
    case .safetensors:
      let file = try SafetensorsFile(contentsOf: url, errorCode: .invalidArgument)
      guard let tensor = file[Self.tensorName] else {
        throw SimilarityError(
          .invalidArgument,
          "\(url.path) has no tensor \"\(Self.tensorName)\"; found \(file.tensors.prefix(8).map(\.name))")
      }
      embeddings = try file.matrix(tensor)
    case .faiss:
      let file = try FAISSFile(contentsOf: url)
      embeddings = file.vectors
      labels = file.labels
    }
    let id = { (row: Int) in labels.map { String($0[row]) } ?? String(row) }
    try self.init(
      embeddings: embeddings,
      records: records.map { url throws(SimilarityError) in try RecordLines.read(url, rows: embeddings.rows, id: id) }
        ?? (0..<embeddings.rows).map { ImageRecord(id: id($0)) })
  }

  /// Where ``write(to:as:metric:)`` puts the records of a file.
  public static func recordsURL(beside url: URL) -> URL {
    url.deletingPathExtension().appendingPathExtension("jsonl")
  }

  /// Writes the embeddings to `url` and the records beside it, each file at once and durably; what was there is replaced.
  ///
  /// - Parameter metric: What a FAISS index measures; see ``FAISSFile``. The other formats do not say.
  public func write(to url: URL, as format: Format, metric: Metric) throws(SimilarityError) {
    try RecordLines.write(records, to: Self.recordsURL(beside: url))
    switch format {
    case .numPy:
      try NumPyFile.write(embeddings, to: url)
    case .safetensors:
      var writer = SafetensorsWriter()
      writer.add(Self.tensorName, embeddings)
      try writer.write(to: url)
    case .faiss:
      try FAISSFile(metric: metric, vectors: embeddings, labels: (0..<records.count).map(Int64.init)).write(to: url)
    }
  }
}
