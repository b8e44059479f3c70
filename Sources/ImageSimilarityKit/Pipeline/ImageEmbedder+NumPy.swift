internal import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension ImageEmbedder {
  /// Writes the embeddings of a collection as a NumPy array, float32 `[pictures, dimension]`, and beside it, with the
  /// extension `jsonl`, the place of each row: `{"row", "id", "path"}`.
  ///
  /// Rows are in the collection's order; pictures that cannot be read have none. The files appear when they are complete.
  /// - Complexity: O(1) memory.
  public func write(
    _ collection: ImageCollection, to url: URL, progress handler: IndexingProgress.Handler? = nil
  ) async throws -> IndexingReport {
    var meter = PipelineMeter()
    let pass = try collection.makePass()
    var progress = IndexingProgress(total: pass.count)
    var skipped: [SkippedImage] = []
    var array = try NumPyWriter(url, dimension: extractor.dimension)
    var rows = try AtomicFile(url.deletingPathExtension().appendingPathExtension("jsonl"))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try await embed(next: pass.next, count: pass.count) { batch in
      meter.add(batch)
      try meter.writing {
        if let embeddings = batch.embeddings { try array.append(embeddings) }
        for item in batch.items {
          var line = try encoder.encode(RowPlace(row: progress.indexed, item: item))
          line.append(UInt8(ascii: "\n"))
          try rows.append(line.bytes)
          progress.indexed += 1
        }
      }
      skipped += batch.skipped
      progress.skipped += batch.skipped.count
      handler?(progress)
    }
    try array.finish()
    try rows.commit()
    return IndexingReport(
      indexed: progress.indexed, unchanged: 0, skipped: skipped, profile: meter.profile)
  }

  private struct RowPlace: Encodable {
    var row: Int
    var id: String
    var path: String?

    init(row: Int, item: ImageItem) {
      self.row = row
      id = item.id
      if case .file(let url) = item.source { path = url.path }
    }
  }
}
