public import ImageSimilarityCore
internal import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A picture to index: its identity, its bytes, and what is known about it.
public struct ImageItem: Sendable, Hashable {
  /// Unique within a model.
  public var id: String
  public var source: ImageSource
  /// The class that the picture belongs to.
  public var label: String?
  public var metadata: [String: JSONValue]?

  public init(id: String, source: ImageSource, label: String? = nil, metadata: [String: JSONValue]? = nil) {
    self.id = id
    self.source = source
    self.label = label
    self.metadata = metadata
  }
}

/// Pictures to index, in a definite order: a folder, a list, or an asynchronous sequence.
public struct ImageCollection: Sendable {
  /// A picture, or something that cannot be one and is listed with the reason.
  enum Element: Sendable {
    case picture(ImageItem)
    case unusable(SkippedImage)
  }

  /// One pass over a collection.
  struct Pass {
    /// How many elements there will be, where that is known before they are read.
    var count: Int?
    /// The next element, or nil at the end.
    var next: () async throws -> Element?

    init(_ elements: [Element]) {
      var iterator = elements.makeIterator()
      count = elements.count
      next = { iterator.next() }
    }

    init<S: AsyncSequence>(_ items: S) where S.Element == ImageItem {
      var iterator = items.makeAsyncIterator()
      count = nil
      next = { try await iterator.next().map { .picture($0) } }
    }
  }

  let makePass: @Sendable () throws -> Pass

  /// Throws what reading the collection would throw at its start: a folder that cannot be read or holds no files.
  public func checkIsReadable() throws {
    _ = try makePass()
  }

  /// All files below a folder, in the order of their ids; the ids are the paths relative to the folder.
  ///
  /// Every regular file counts, whatever its name, so that nothing is passed over in silence. Hidden files and folders
  /// (`.git`) and models of this package are left out. Links are followed, each folder once.
  public static func folder(_ url: URL) -> ImageCollection {
    ImageCollection { Pass(try FolderWalk.elements(below: url)) }
  }

  /// Single files; the ids are the files' names.
  public static func files(_ urls: [URL]) -> ImageCollection {
    .items(urls.map { ImageItem(id: $0.lastPathComponent, source: .file($0)) })
  }

  public static func items(_ items: [ImageItem]) -> ImageCollection {
    ImageCollection { Pass(items.map { .picture($0) }) }
  }

  /// Pictures as they come; the sequence is read no faster than the pictures are embedded.
  public static func sequence<S: AsyncSequence & Sendable>(_ items: S) -> ImageCollection where S.Element == ImageItem {
    ImageCollection { Pass(items) }
  }

  /// Pictures with the name of the folder that holds them as their labels; those that are no files keep theirs.
  public func labeledByFolder() -> ImageCollection {
    ImageCollection { [makePass] in
      var pass = try makePass()
      let next = pass.next
      pass.next = {
        let element = try await next()
        guard case .picture(var item) = element, case .file(let url) = item.source else { return element }
        item.label = url.deletingLastPathComponent().lastPathComponent
        return .picture(item)
      }
      return pass
    }
  }

  /// The pictures of several collections, one after the other.
  public static func joined(_ collections: [ImageCollection]) -> ImageCollection {
    ImageCollection {
      var passes = try collections.map { try $0.makePass() }[...]
      let counts = passes.map(\.count)
      var joined = Pass([])
      joined.count = counts.contains(nil) ? nil : counts.reduce(0) { $0 + ($1 ?? 0) }
      joined.next = {
        while let pass = passes.first {
          if let element = try await pass.next() { return element }
          passes.removeFirst()
        }
        return nil
      }
      return joined
    }
  }
}
