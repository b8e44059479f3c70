public import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What a model holds, and what made it.
public struct ModelSummary: Sendable, Hashable, Codable {
  /// Pictures in the model.
  public var images: Int
  /// Pictures that could not be read.
  public var skipped: Int
  public var metric: Metric
  public var extractor: ExtractorSpecification
  public var segments: Int
  /// Size of the segments on disk.
  public var bytes: Int
  /// Version of the on-disk format.
  public var formatVersion: Int

  private enum CodingKeys: String, CodingKey {
    case images, skipped, metric, extractor, segments, bytes
    case formatVersion = "format_version"
  }
}

extension SimilarityModel {
  public func summary() -> ModelSummary {
    ModelSummary(
      images: store.count, skipped: store.skipped.count, metric: store.metric, extractor: store.extractor,
      segments: store.segments.count, bytes: store.byteCount, formatVersion: SegmentStore.formatVersion)
  }

  /// Reads all files and compares them with the manifest's checksums.
  ///
  /// - Throws: ``SimilarityError/Code/modelCorrupt``, which names every file that differs.
  public func verify() throws {
    try store.verify()
  }

  /// How well pictures of one class are found: every picture in turn is the query, all others are ranked.
  ///
  /// A picture's class is its label, or else the name of the folder that holds it.
  ///
  /// - Complexity: O(images² * (dimension + log(images)))
  public func evaluate() async throws -> RetrievalEvaluation {
    let ids = self.ids
    var values: [Float] = []
    values.reserveCapacity(ids.count * extractor.fingerprint.dimension)
    var labels: [String] = []
    for id in ids {
      guard let embedding = store.embedding(id), let record = store.record(id) else { continue }
      values += embedding
      labels.append(record.label ?? Self.folderName(record))
    }
    guard !labels.isEmpty else {
      throw SimilarityError(.invalidArgument, "\(url.path) holds no pictures to evaluate")
    }
    return try await RetrievalEvaluation(
      leaveOneOut: EmbeddingMatrix(rows: labels.count, dimension: extractor.fingerprint.dimension, values: values),
      labels: labels,
      metric: metric, threads: threads)
  }

  private static func folderName(_ record: ImageRecord) -> String {
    let components = (record.path ?? record.id).split(separator: "/")
    return components.count > 1 ? String(components[components.count - 2]) : ""
  }
}
