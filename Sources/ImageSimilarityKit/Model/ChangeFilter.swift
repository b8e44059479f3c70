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

/// Lets through the pictures of a pass that a model does not hold as they are now.
final class ChangeFilter {
  /// What the model holds when the pass begins.
  private let stored: [SegmentStore.Segment]
  private let pass: ImageCollection.Pass
  private var seen: Set<String> = []
  /// The records of pictures that are being embedded.
  private var inWork: [String: ImageRecord] = [:]
  /// New records of pictures whose embedding stays.
  private var updates: [ImageRecord] = []
  private(set) var unchanged = 0

  init(store: SegmentStore, pass: ImageCollection.Pass) {
    stored = store.segments
    self.pass = pass
  }

  /// The next picture to embed or to list as unreadable.
  func next() async throws -> ImageCollection.Element? {
    while let element = try await pass.next() {
      guard case .picture(var item) = element else {
        if case .unusable(let image) = element { seen.insert(image.id) }
        return element
      }
      // A file that the model knows keeps its id, even where it is now reached by way of another folder.
      var known = try stored.record(ofID: item.id)
      if case .file(let url) = item.source, known?.path != url.path, let other = try stored.record(ofPath: url.path) {
        item.id = other.id
        known = other
      }
      guard seen.insert(item.id).inserted else {
        return .unusable(
          SkippedImage(item, SimilarityError(.invalidArgument, "another picture of this collection has the same id")))
      }
      switch decide(item, known) {
      case .embed(let record):
        inWork[item.id] = record
        return .picture(item)
      case .keep(let record):
        unchanged += 1
        if record != known { updates.append(record) }
      case .refuse(let error):
        return .unusable(SkippedImage(item, error))
      }
    }
    return nil
  }

  /// Whether the pass had a picture, or something unusable, of this id so far.
  func hasSeen(_ id: String) -> Bool { seen.contains(id) }

  func takeRecords(_ items: [ImageItem]) -> [ImageRecord] {
    items.map { item in
      guard let record = inWork.removeValue(forKey: item.id) else {
        preconditionFailure("a picture that was embedded has passed the filter")
      }
      return record
    }
  }

  func forget(_ skipped: [SkippedImage]) {
    for image in skipped { inWork.removeValue(forKey: image.id) }
  }

  func takeUpdates() -> [ImageRecord] {
    defer { updates = [] }
    return updates
  }

  private enum Decision {
    case embed(ImageRecord)
    case keep(ImageRecord)
    case refuse(SimilarityError)
  }

  private func decide(_ item: ImageItem, _ known: ImageRecord?) -> Decision {
    var record = ImageRecord(
      id: item.id, label: item.label ?? known?.label, metadata: item.metadata ?? known?.metadata)
    guard case .file(let url) = item.source else { return .embed(record) }
    record.path = url.path
    // The decoder says what is wrong with a file that cannot be looked at.
    guard let state = FileState(url.path) else { return .embed(record) }
    record.bytes = state.bytes
    record.modified = state.modified
    guard let known else { return .embed(record) }

    if let knownPath = known.path, knownPath != url.path, let other = FileState(knownPath), !other.isSameFile(as: state)
    {
      return .refuse(
        SimilarityError(
          .invalidArgument,
          "the model already has the id '\(item.id)' for \(knownPath); index the folder that holds both"))
    }
    let isUnchanged = known.bytes == state.bytes && known.modified == state.modified
    return isUnchanged ? .keep(record) : .embed(record)
  }
}

/// What tells one state of a file from another without reading it.
private struct FileState {
  var bytes: Int64
  /// Nanoseconds since 1970.
  var modified: Int64
  private var device: UInt64
  private var inode: UInt64

  init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    bytes = Int64(status.st_size)
    #if canImport(Darwin)
      let time = status.st_mtimespec
    #else
      let time = status.st_mtim
    #endif
    modified = Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }

  func isSameFile(as other: FileState) -> Bool { device == other.device && inode == other.inode }
}
