public import ImageSimilarityCore
public import ImageSimilaritySearch
internal import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// What a model holds, and what made it.
public struct ModelSummary: Sendable, Hashable, Codable {
  /// Pictures in the model.
  public var images: Int
  /// Pictures that could not be read.
  public var skipped: Int
  public var metric: Metric
  /// How the elements of embeddings are stored.
  public var elements: ElementPrecision
  public var extractor: ExtractorSpecification
  public var segments: Int
  /// Segments that are damaged, and whose pictures are missing above.
  public var damaged: [DamagedSegment]
  /// Size of the segments on disk.
  public var bytes: Int
  /// Version of the on-disk format.
  public var formatVersion: Int

  private enum CodingKeys: String, CodingKey {
    case images, skipped, metric, elements, extractor, segments, damaged, bytes
    case formatVersion = "format_version"
  }
}

extension SimilarityModel {
  public func summary() -> ModelSummary {
    ModelSummary(
      images: store.count, skipped: store.skippedCount, metric: store.metric, elements: store.precision,
      extractor: store.extractor, segments: store.segments.count, damaged: store.damaged, bytes: store.byteCount,
      formatVersion: SegmentStore.formatVersion)
  }

  /// Reads all files and compares them with the manifest's checksums.
  ///
  /// - Throws: ``SimilarityError/Code/modelCorrupt``, which names every file that differs.
  public func verify() throws {
    try store.verify()
  }

  /// Removes what is damaged from the model in one commit, and returns it. To have the pictures back, add their collection
  /// again.
  ///
  /// - Complexity: reads all files.
  @discardableResult
  public func repair() async throws -> [DamagedSegment] {
    try await writing.take { [self] in
      defer { store.close() }
      return try store.repair()
    }
  }

  /// Rewrites a model of an earlier version of the on-disk format in this version's, in one commit.
  ///
  /// - Returns: false where there was nothing to do.
  @discardableResult
  public static func upgrade(at url: URL) async throws -> Bool { try SegmentStore.upgrade(at: url) }
}
