public import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension SegmentStore {
  /// Embeddings that were stored together, and their records. Immutable: rows that are removed later stay, and are no longer
  /// live.
  public struct Segment: Sendable {
    /// `[rows, dimension]`, in mapped memory, which outlives the file.
    public let embeddings: EmbeddingMatrix
    /// One a row.
    public internal(set) var records: [ImageRecord]
    /// Number of live rows.
    public private(set) var liveCount: Int

    var entry: Manifest.Segment {
      didSet { markRemoved() }
    }
    /// One a row; empty as long as nothing was removed.
    private var removed: [Bool] = []

    /// Whether the row belongs to the model.
    public func isLive(_ row: Int) -> Bool { removed.isEmpty || !removed[row] }

    /// The live rows as ranges, in order.
    public var liveRanges: [Range<Int>] {
      if removed.isEmpty { return [records.indices] }
      var ranges: [Range<Int>] = []
      for row in records.indices where isLive(row) {
        if let last = ranges.last, last.upperBound == row {
          ranges[ranges.count - 1] = last.lowerBound..<row + 1
        } else {
          ranges.append(row..<row + 1)
        }
      }
      return ranges
    }

    /// The live rows, in order: ``embeddings`` itself as long as nothing was removed, and a copy otherwise.
    public var liveEmbeddings: EmbeddingMatrix {
      if removed.isEmpty { return embeddings }
      return EmbeddingMatrix(
        rows: liveCount, dimension: embeddings.dimension,
        values: records.indices.filter(isLive).flatMap { embeddings[$0] })
    }

    /// The records of the live rows, in order.
    public var liveRecords: [ImageRecord] {
      removed.isEmpty ? records : records.indices.filter(isLive).map { records[$0] }
    }

    /// Maps a segment's files and compares them with what the manifest says.
    init(_ entry: Manifest.Segment, folder: URL, dimension: Int) throws(SimilarityError) {
      self.entry = entry
      let file = try Self.map(entry.embeddings, folder)
      let tensors = try SafetensorsFile(file, errorCode: .modelCorrupt)
      guard let tensor = tensors[Manifest.Segment.tensorName], tensors.tensors.count == 1 else {
        throw SimilarityError(
          .modelCorrupt,
          "\(file.name) is damaged: expected the tensor \(Manifest.Segment.tensorName) alone, found "
            + "\(tensors.tensors.count) tensors")
      }
      guard tensor.shape == [entry.rows, dimension] else {
        throw SimilarityError(
          .modelCorrupt,
          "\(file.name) is damaged: expected a tensor of shape \([entry.rows, dimension]), found \(tensor.shape)")
      }
      embeddings = try tensors.matrix(tensor)
      let recordsFile = try Self.map(entry.records, folder)
      records = try JSONLines.decode(recordsFile, as: ImageRecord.self)
      guard records.count == entry.rows else {
        throw SimilarityError(
          .modelCorrupt, "\(recordsFile.name) is damaged: expected \(entry.rows) lines, found \(records.count)")
      }
      liveCount = records.count
      markRemoved()
    }

    private mutating func markRemoved() {
      removed = entry.removed.isEmpty ? [] : [Bool](repeating: false, count: entry.rows)
      for row in entry.removed { removed[row] = true }
      liveCount = entry.rows - entry.removed.count
    }

    /// Maps a file that has the size that the manifest says.
    static func map(_ entry: Manifest.File, _ folder: URL) throws(SimilarityError) -> MappedFile {
      let url = folder.appending(path: entry.file, directoryHint: .notDirectory)
      guard FileManager.default.fileExists(atPath: url.path) else {
        throw SimilarityError(.modelCorrupt, "\(url.path) is missing, and the manifest names it")
      }
      let file = try MappedFile(contentsOf: url)
      guard file.count == entry.bytes else {
        throw SimilarityError(
          .modelCorrupt, "\(file.name) is damaged: expected \(entry.bytes) bytes, found \(file.count)")
      }
      return file
    }
  }
}
