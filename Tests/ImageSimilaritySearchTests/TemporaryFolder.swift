import ImageSimilarityCore
import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A folder that goes away with the object.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "imsim-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  var model: URL { url.appending(path: "model.imsim") }
}

/// All paths below a folder, ascending.
func paths(_ folder: URL) throws -> [String] {
  try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
}

func specification(dimension: Int) -> ExtractorSpecification {
  ExtractorSpecification(
    input: ImageGeometry(size: PixelSize(width: 8, height: 8)),
    fingerprint: ExtractorFingerprint(architecture: "test", weights: "abc", dimension: dimension))
}

/// A projection to as many dimensions as there are rows.
func projection(_ matrix: [[Float]]) -> LearnedProjection {
  LearnedProjection(inputDimension: matrix[0].count, dimension: matrix.count, matrix: matrix.flatMap { $0 })
}

extension LearnedProjection {
  func project(_ embedding: [Float]) -> [Float] { project(EmbeddingMatrix([embedding]), threads: 1)[0] }
}

/// What a store holds, in a form that can be compared.
struct Contents: Hashable {
  struct Image: Hashable {
    var record: ImageRecord
    var embedding: [Float]
    var searched: [Float]?
  }
  var images: [String: Image] = [:]
  var skipped: [SkippedImage] = []
  var attachment: Data?
  var projection: LearnedProjection?

  init() {}

  init(_ store: SegmentStore) throws {
    skipped = try store.skipped
    attachment = try store.attachment("a")
    projection = try store.projection
    for segment in store.segments {
      for row in 0..<segment.rows where segment.isLive(row) {
        images[try segment.id(row)] = Image(
          record: try segment.record(row), embedding: try segment.embedding(row),
          searched: projection == nil ? nil : try segment.searchedVector(row))
      }
    }
  }
}
