import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension Manifest {
  /// A file whose checksums lie in another one.
  struct PlainFile: ManifestFile {
    var file: String
    var bytes: Int
  }

  /// A safetensors file that holds its checksums. Its digest, the SHA-256 of its header and its checksums, covers all.
  struct CheckedFile: ManifestFile {
    var file: String
    var bytes: Int
    var digest: String
  }

  /// A file that is read as a whole, and the number of things in it.
  struct CountedFile: ManifestFile {
    var file: String
    var bytes: Int
    var sha256: String
    var count: Int

    func read(in folder: ModelFolder) throws(SimilarityError) -> Data {
      try contents(of: map(in: folder))
    }

    /// The bytes, if they are those that were written.
    func contents(of mapped: MappedFile) throws(SimilarityError) -> Data {
      guard SHA256.hexDigest(of: mapped) == sha256 else {
        throw SimilarityError(
          .modelCorrupt,
          "\(mapped.name) is damaged: its SHA-256 is not \(sha256); 'imsim repair' removes what is damaged")
      }
      return mapped.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    }

    static func write(
      _ data: Data, count: Int, as file: String, in folder: ModelFolder
    ) throws(SimilarityError) -> CountedFile {
      try writeAtomically(data, to: folder.segment(file))
      return CountedFile(file: file, bytes: data.count, sha256: SHA256.hexDigest(of: data), count: count)
    }
  }
}

/// A file in the folder of segments, as the manifest names it.
protocol ManifestFile: Codable, Hashable {
  var file: String { get }
  var bytes: Int { get }
}

extension ManifestFile {
  /// Maps the file, which has the size that the manifest says.
  func map(in folder: ModelFolder) throws(SimilarityError) -> MappedFile {
    let url = folder.segment(file)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw SimilarityError(.modelCorrupt, "\(url.path) is missing, and the manifest names it")
    }
    let mapped = try MappedFile(contentsOf: url)
    guard mapped.count == bytes else {
      throw SimilarityError(.modelCorrupt, "\(mapped.name) is damaged: expected \(bytes) bytes, found \(mapped.count)")
    }
    return mapped
  }
}
