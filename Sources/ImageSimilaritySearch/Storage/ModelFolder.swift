import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a model's files lie.
struct ModelFolder: Sendable {
  let url: URL
  let manifest: URL
  let segments: URL

  private static let segmentsName = "segments"

  init(_ url: URL) {
    self.url = url
    manifest = url.appending(path: Manifest.fileName, directoryHint: .notDirectory)
    segments = url.appending(path: Self.segmentsName, directoryHint: .isDirectory)
  }

  func segment(_ file: String) -> URL { segments.appending(path: file, directoryHint: .notDirectory) }

  /// Whether a name in ``segments`` is one of those that a model gives; such names lead nowhere else.
  static func isFileName(_ name: String, suffix: String) -> Bool {
    let digits = name.utf8.dropLast(suffix.utf8.count)
    return name.hasSuffix(suffix) && (6...18).contains(digits.count)
      && digits.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  }

  private static let suffixes = [
    StoredVectors.suffix, StoredRecords.linesSuffix, StoredRecords.lookupSuffix, RowBitmap.suffix,
    StoredVectors.projectedSuffix, Manifest.skippedSuffix, Manifest.attachmentSuffix, Manifest.projectionSuffix,
  ]

  private static func isTemporary(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".tmp") }

  func readManifest() throws(SimilarityError) -> Manifest { try Manifest(mapManifest()) }

  func mapManifest() throws(SimilarityError) -> MappedFile {
    guard FileManager.default.fileExists(atPath: manifest.path) else {
      throw SimilarityError(.modelNotFound, "there is no model at \(url.path): it has no \(Manifest.fileName)")
    }
    return try MappedFile(contentsOf: manifest)
  }

  func write(_ manifest: Manifest) throws(SimilarityError) {
    try writeAtomically(manifest.encoded(), to: self.manifest)
  }

  /// Throws unless there is nothing, an empty folder, or what remains of a creation that was interrupted.
  func checkVacant() throws(SimilarityError) {
    var isFolder = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { return }
    guard isFolder else {
      throw SimilarityError(.invalidArgument, "cannot make a model at \(url.path): there is a file")
    }
    let names = try contents(of: url)
    if names.contains(Manifest.fileName) {
      throw SimilarityError(.modelExists, "there is already a model at \(url.path)")
    }
    if let other = names.first(where: {
      $0 != WriterLock.fileName && $0 != Self.segmentsName && !Self.isTemporary($0)
    }) {
      throw SimilarityError(
        .invalidArgument,
        "cannot make a model at \(url.path): the folder is neither empty nor a model; it has, for example, \(other)")
    }
  }

  /// Removes the files of changes that were not completed, and temporary files.
  ///
  /// A file that cannot be removed only takes room, and the next writer tries again.
  func removeLeftovers(of manifest: Manifest) {
    removeLeftovers(keeping: manifest.fileNames)
    try? FileManager.default.removeItem(at: url.appending(path: ManifestV1.skippedName, directoryHint: .notDirectory))
  }

  func removeLeftovers(keeping known: Set<String>) {
    for name in (try? contents(of: segments)) ?? [] {
      let isOurs = Self.isTemporary(name) || Self.suffixes.contains { Self.isFileName(name, suffix: $0) }
      if isOurs, !known.contains(name) { remove(name) }
    }
    for name in (try? contents(of: url)) ?? [] where Self.isTemporary(name) {
      try? FileManager.default.removeItem(at: url.appending(path: name, directoryHint: .notDirectory))
    }
  }

  func remove(_ segmentFile: String) { try? FileManager.default.removeItem(at: segment(segmentFile)) }

  private func contents(of folder: URL) throws(SimilarityError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    } catch {
      throw SimilarityError(.inputOutput, "cannot list the folder \(folder.path): \(systemReason(error))")
    }
  }
}
