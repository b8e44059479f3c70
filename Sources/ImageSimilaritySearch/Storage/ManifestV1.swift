import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `manifest.json` of version 1 of the format: segments of a safetensors file with the tensor `embeddings`, F32, and JSON Lines
/// with the records; `skipped.jsonl` beside the manifest.
struct ManifestV1: Decodable {
  static let version = 1
  static let skippedName = "skipped.jsonl"

  var metric: Metric
  var extractor: ExtractorSpecification
  var segments: [Segment]
  var nextFile: Int

  struct Segment: Decodable {
    var rows: Int
    var embeddings: File
    var records: File
    var removed: [Int]
  }

  struct File: Decodable {
    var file: String
    var bytes: Int
    var sha256: String
  }

  var fileNames: Set<String> { Set(segments.flatMap { [$0.embeddings.file, $0.records.file] }) }

  init(_ file: MappedFile) throws(SimilarityError) {
    self = try Manifest.decode(Manifest.bytes(file), file)
    if let problem = extractor.firstProblem {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(problem)")
    }
    guard (1...Int(Int32.max)).contains(nextFile) else {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: nextFile is \(nextFile)")
    }
  }

  /// The live rows of a segment.
  func read(
    _ segment: Segment, in folder: ModelFolder
  ) throws(SimilarityError) -> (embeddings: EmbeddingMatrix, records: [ImageRecord]) {
    let tensors = try SafetensorsFile(map(segment.embeddings, ".safetensors", in: folder), errorCode: .modelCorrupt)
    let name = tensors.file.name
    guard let tensor = tensors["embeddings"], tensor.shape == [segment.rows, extractor.fingerprint.dimension] else {
      throw SimilarityError(
        .modelCorrupt, "\(name) is damaged: expected embeddings \([segment.rows, extractor.fingerprint.dimension])")
    }
    let embeddings = try tensors.matrix(tensor)
    let records = try JSONLines.decode(map(segment.records, ".jsonl", in: folder), as: ImageRecord.self)
    guard records.count == segment.rows, segment.removed.allSatisfy((0..<segment.rows).contains) else {
      throw SimilarityError(.modelCorrupt, "\(name) is damaged: its rows are not those of \(segment.records.file)")
    }
    if segment.removed.isEmpty { return (embeddings, records) }
    let removed = Set(segment.removed)
    let live = records.indices.filter { !removed.contains($0) }
    return (
      EmbeddingMatrix(
        rows: live.count, dimension: embeddings.dimension, values: live.flatMap { embeddings[$0] }),
      live.map { records[$0] }
    )
  }

  func skipped(in folder: ModelFolder) throws(SimilarityError) -> [SkippedImage] {
    let url = folder.url.appending(path: Self.skippedName, directoryHint: .notDirectory)
    guard FileManager.default.fileExists(atPath: url.path) else { return [] }
    return try JSONLines.decode(MappedFile(contentsOf: url), as: SkippedImage.self)
  }

  private func map(_ entry: File, _ suffix: String, in folder: ModelFolder) throws(SimilarityError) -> MappedFile {
    guard ModelFolder.isFileName(entry.file, suffix: suffix) else {
      throw SimilarityError(
        .modelCorrupt, "\(folder.manifest.path) is damaged: a segment's file is called \(entry.file.debugDescription)")
    }
    let file = try MappedFile(contentsOf: folder.segment(entry.file))
    guard SHA256.hexDigest(of: file) == entry.sha256 else {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: its SHA-256 is not \(entry.sha256)")
    }
    return file
  }
}
