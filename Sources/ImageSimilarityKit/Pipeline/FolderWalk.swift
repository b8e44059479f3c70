internal import ImageSimilarityCore
internal import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// Finds the files below a folder.
struct FolderWalk {
  private let root: String
  private var elements: [(id: String, element: ImageCollection.Element)] = []
  /// The folders on the way, by device and inode: a link may lead back to one of them.
  private var visited: Set<[UInt64]> = []

  /// All regular files below `url` that are not hidden, and what could not be read, in the order of the ids.
  static func elements(below url: URL) throws(SimilarityError) -> [ImageCollection.Element] {
    var walk = FolderWalk(root: url.path)
    guard let names = walk.names(in: url.path) else {
      throw SimilarityError(.inputOutput, "cannot read the folder \(url.path): \(systemMessage())")
    }
    walk.visit(names, prefix: "")
    guard !walk.elements.isEmpty else {
      throw SimilarityError(.invalidArgument, "the folder \(url.path) holds no files to index")
    }
    return walk.elements.sorted { $0.id < $1.id }.map { $0.element }
  }

  private init(root: String) { self.root = root }

  private mutating func visit(_ names: [Name], prefix: String) {
    for name in names {
      guard case .text(let text) = name else {
        skip(prefix + name.description, "its name is not valid UTF-8")
        continue
      }
      if text.hasPrefix(".") { continue }
      let id = prefix + text
      let path = "\(root)/\(id)"
      var status = stat()
      guard unsafe stat(path, &status) == 0 else {
        skip(id, Self.systemMessage())
        continue
      }
      switch status.st_mode & S_IFMT {
      case S_IFREG:
        let url = URL(fileURLWithPath: path, isDirectory: false)
        elements.append((id, .picture(ImageItem(id: id, source: .file(url)))))
      case S_IFDIR:
        if SegmentStore.isModel(at: URL(fileURLWithPath: path)) { continue }
        if let names = self.names(in: path) {
          visit(names, prefix: id + "/")
        } else if errno != 0 {
          skip(id, "cannot read the folder: \(Self.systemMessage())")
        }
      default:
        skip(id, "it is not a regular file")
      }
    }
  }

  private mutating func skip(_ id: String, _ reason: String) {
    let image = SkippedImage(
      id: id, path: "\(root)/\(id)", code: SimilarityError.Code.imageUnreadable.rawValue, reason: reason)
    elements.append((id, .unusable(image)))
  }

  /// A file name, which on Linux is any bytes.
  private enum Name: CustomStringConvertible {
    case text(String)
    case bytes(String)

    var description: String {
      switch self {
      case .text(let text), .bytes(let text): text
      }
    }
  }

  /// The entries of a folder; nil and `errno` 0 for a folder that was visited before, nil and an error where it cannot be
  /// read.
  private mutating func names(in path: String) -> [Name]? {
    guard let folder = unsafe opendir(path) else { return nil }
    defer { unsafe closedir(folder) }
    var status = stat()
    guard unsafe fstat(dirfd(folder), &status) == 0 else { return nil }
    guard visited.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted else {
      errno = 0
      return nil
    }
    var names: [Name] = []
    while let entry = unsafe readdir(folder) {
      let length = unsafe strlen(&entry.pointee.d_name.0)
      let bytes = unsafe withUnsafePointer(to: &entry.pointee.d_name.0) { start in
        unsafe Array(UnsafeRawBufferPointer(start: start, count: length))
      }
      if let text = String(validating: bytes, as: UTF8.self) {
        if text != ".", text != ".." { names.append(.text(text)) }
      } else {
        names.append(.bytes(String(decoding: bytes, as: UTF8.self)))
      }
    }
    return names
  }

  private static func systemMessage() -> String { unsafe String(cString: strerror(errno)) }
}
