import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The external files of a network: they lie in the folder of its file, or below, and are mapped when a tensor first names
/// them.
struct ONNXFolder {
  /// In the order in which they were asked for.
  private(set) var files: [MappedFile] = []
  private var indexByLocation: [String: Int] = [:]
  private let url: URL

  /// - Parameter url: the file whose folder it is.
  init(of url: URL) {
    self.url = url.deletingLastPathComponent()
  }

  /// The file at a path, relative to the folder.
  ///
  /// - Throws: ``SimilarityError/Code/weightsCorrupt`` where the path leads out of the folder,
  ///   ``SimilarityError/Code/weightsUnreadable``.
  mutating func file(at location: String) throws(SimilarityError) -> MappedFile {
    if let index = indexByLocation[location] { return files[index] }
    let components = location.split(separator: "/", omittingEmptySubsequences: false)
    guard !location.utf8.contains(0), components.allSatisfy({ !["", ".."].contains($0) }) else {
      throw SimilarityError(
        .weightsCorrupt, "expected the path of an external file within \(url.path); found \(quoted(location))")
    }
    // Links are followed before the file is opened, so that what is opened is what was checked.
    let folder = url.resolvingSymlinksInPath().path
    let target = URL(fileURLWithPath: folder).appending(path: location).resolvingSymlinksInPath()
    guard target.path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/") else {
      throw SimilarityError(
        .weightsCorrupt, "the external file \(quoted(location)) is a link out of \(folder); expected a file within it")
    }
    let file = try Self.map(target)
    indexByLocation[location] = files.count
    files.append(file)
    return file
  }

  static func map(_ url: URL) throws(SimilarityError) -> MappedFile {
    do {
      return try MappedFile(contentsOf: url)
    } catch {
      throw SimilarityError(.weightsUnreadable, error.message)
    }
  }
}
