public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A model on disk: a folder of immutable segments and a manifest that names them.
///
/// ```
/// manifest.json                       format, version, metric, extractor, the files of the segments, a digest of all that
/// segments/000001.safetensors         vectors: codes, a column of each number that belongs to a row, embeddings, checksums
/// segments/000001.jsonl               a record a line
/// segments/000001.lookup.safetensors  where each record's line is, ids, rows by ids and by paths, checksums
/// segments/000002.removed             a bit a row: what was removed since
/// segments/000003.skipped.jsonl       images that are not in the model, and why
/// segments/000004.attachment.json       a small document of the application
/// segments/000005.projection.safetensors        what embeddings go through before they are searched: see ``LearnedProjection``
/// segments/000006.projected.safetensors         vectors of a segment that went through it
/// lock                                held by the writer
/// ```
///
/// Opening maps the files and reads none of them but the manifest and what was removed: it takes as long for many images as for
/// few. Each 16 KiB are compared with their checksum when something of them is used for the first time; what is damaged throws
/// ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the file and the place.
///
/// Every change writes new files, brings them to the disk, and then replaces the manifest in one step: that is the commit. A
/// process that ends at any moment leaves the state before or the state after it, and at most files that no manifest names,
/// which the next writer removes. A change that fails, on a full disk, say, leaves the state before it and no files.
///
/// There is one writer at a time, from its first change until ``close()`` or the end of the object. Readers need no lock:
/// what they have opened stays as it was, whatever is written later.
///
/// Methods may be called from several threads at once.
public final class SegmentStore: Sendable {
  /// The model's folder.
  public let url: URL
  /// Where the embeddings come from.
  public let extractor: ExtractorSpecification
  public let metric: Metric
  /// How elements are stored.
  public let precision: ElementPrecision

  let folder: ModelFolder
  /// What readers of this object see; replaced at each commit.
  let state: Mutex<State>
  /// Held during a change; nil until the first one.
  let writer = Mutex<WriterLock?>(nil)
  /// Called after each step of opening and of a change.
  let afterStep: @Sendable (Step) -> Void

  /// The moments at which a process may end or another one may step in; tests do both.
  package enum Step: Sendable {
    case readManifest, wroteFile, committed, removedFile
  }

  /// Changes once in memory and once on disk.
  struct State {
    var manifest: Manifest
    /// Those of the manifest that are not damaged.
    var segments: [Segment]
    var damaged: [DamagedSegment] = []
    /// The manifest's ``Manifest/wholeFiles`` by name, mapped when the manifest was read, since a writer may remove them.
    var wholeFiles: [String: Result<MappedFile, SimilarityError>] = [:]
    /// Read when it is needed for the first time.
    var projection: LearnedProjection?

    init(_ manifest: Manifest, _ segments: [Segment] = [], damaged: [DamagedSegment] = []) {
      self.manifest = manifest
      self.segments = segments
      self.damaged = damaged
    }
  }

  init(_ folder: ModelFolder, _ state: State, lock: WriterLock?, afterStep: @escaping @Sendable (Step) -> Void) {
    url = folder.url
    self.folder = folder
    extractor = state.manifest.extractor
    metric = state.manifest.metric
    precision = state.manifest.precision
    self.state = Mutex(state)
    self.afterStep = afterStep
    writer.withLock { $0 = lock }
  }

  /// Version of the on-disk format that this version writes.
  public static var formatVersion: Int { Manifest.version }

  /// Whether there is a model, sound or not, at `url`.
  public static func isModel(at url: URL) -> Bool {
    let folder = ModelFolder(url)
    return FileManager.default.fileExists(atPath: folder.manifest.path)
      && FileManager.default.fileExists(atPath: folder.segments.path)
  }

  // MARK: - Creating and opening

  /// Makes an empty model in a new or empty folder, and becomes its writer.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelExists`` where there is a model,
  /// ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there is something else,
  /// ``ImageSimilarityCore/SimilarityError/Code/inputOutput`` where the folder cannot be written.
  public static func create(
    at url: URL, extractor: ExtractorSpecification, metric: Metric, precision: ElementPrecision = .fp32
  ) throws(SimilarityError) -> SegmentStore {
    try create(at: url, extractor: extractor, metric: metric, precision: precision) { _ in }
  }

  package static func create(
    at url: URL, extractor: ExtractorSpecification, metric: Metric, precision: ElementPrecision = .fp32,
    afterStep: @escaping @Sendable (Step) -> Void
  ) throws(SimilarityError) -> SegmentStore {
    let folder = ModelFolder(url)
    try folder.checkVacant()
    do {
      try FileManager.default.createDirectory(at: folder.segments, withIntermediateDirectories: true)
    } catch {
      throw SimilarityError(.inputOutput, "cannot make the folder \(url.path): \(systemReason(error))")
    }
    try fsyncDirectory(url.deletingLastPathComponent())
    let lock = try WriterLock(folder: url)
    // Somebody else may have been faster.
    try folder.checkVacant()
    let manifest = Manifest(metric: metric, precision: precision, extractor: extractor)
    try folder.write(manifest)
    afterStep(.committed)
    return SegmentStore(folder, State(manifest), lock: lock, afterStep: afterStep)
  }

  /// Opens a model. Segments that cannot be opened are listed in ``damaged``.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelNotFound``,
  /// ``ImageSimilarityCore/SimilarityError/Code/modelVersion`` with what to do, or
  /// ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` where the manifest is damaged.
  ///
  /// - Complexity: O(segments)
  public static func open(at url: URL) throws(SimilarityError) -> SegmentStore {
    try open(at: url) { _ in }
  }

  package static func open(
    at url: URL, afterStep: @escaping @Sendable (Step) -> Void
  ) throws(SimilarityError) -> SegmentStore {
    let folder = ModelFolder(url)
    // A writer may replace the manifest and remove files while they are being opened: then begin again.
    var attempts = 0
    while true {
      attempts += 1
      let manifest = try folder.readManifest()
      afterStep(.readManifest)
      let state = load(manifest, folder)
      if !state.damaged.isEmpty, attempts < 10, try folder.readManifest() != manifest { continue }
      return SegmentStore(folder, state, lock: nil, afterStep: afterStep)
    }
  }

  private static func load(_ manifest: Manifest, _ folder: ModelFolder) -> State {
    var segments: [Segment] = []
    var damaged: [DamagedSegment] = []
    for entry in manifest.segments {
      do throws(SimilarityError) {
        segments.append(try Segment(entry, of: manifest, folder: folder))
      } catch {
        damaged.append(DamagedSegment(entry, error.message))
      }
    }
    var state = State(manifest, segments, damaged: damaged)
    for file in manifest.wholeFiles {
      state.wholeFiles[file.file] = Result { () throws(SimilarityError) in try file.map(in: folder) }
    }
    return state
  }

  // MARK: - Reading

  /// Number of images, without those of damaged segments.
  ///
  /// - Complexity: O(segments)
  public var count: Int { segments.reduce(0) { $0 + $1.liveCount } }

  /// All segments that are not damaged, from the oldest to the newest. Each id is live in one row of one segment.
  public var segments: [Segment] { state.withLock { $0.segments } }

  /// All ids in ascending order.
  ///
  /// - Complexity: O(`count * log(count)`)
  public var ids: [String] {
    get throws(SimilarityError) {
      var ids: [String] = []
      ids.reserveCapacity(count)
      for segment in segments {
        for row in 0..<segment.rows where segment.isLive(row) { ids.append(try segment.id(row)) }
      }
      return ids.sorted()
    }
  }

  /// The records of all images, in no particular order.
  ///
  /// - Complexity: O(`count`)
  public var records: [ImageRecord] {
    get throws(SimilarityError) {
      var records: [ImageRecord] = []
      records.reserveCapacity(count)
      for segment in segments {
        for row in 0..<segment.rows where segment.isLive(row) { records.append(try segment.record(row)) }
      }
      return records
    }
  }

  /// - Complexity: O(segments * log(`count`)), as those that follow.
  public func contains(_ id: String) throws(SimilarityError) -> Bool { try segments.place(ofID: id) != nil }

  /// The record of an image.
  public func record(_ id: String) throws(SimilarityError) -> ImageRecord? { try segments.record(ofID: id) }

  /// The record of the image that was read from a path; of several, that of the newest segment.
  public func record(ofPath path: String) throws(SimilarityError) -> ImageRecord? {
    try segments.record(ofPath: path)
  }

  /// The embedding of an image, as the extractor made it.
  public func embedding(_ id: String) throws(SimilarityError) -> [Float]? {
    let segments = segments
    guard let place = try segments.place(ofID: id) else { return nil }
    return try segments[place.segment].embedding(place.row)
  }

  /// The vector of an image that is searched: its embedding, or what the model's projection made of it.
  public func searchedVector(_ id: String) throws(SimilarityError) -> [Float]? {
    try segments.searchedVector(ofID: id)
  }

  /// Size of the segments on disk.
  public var byteCount: Int { state.withLock { $0.manifest.segments.reduce(0) { $0 + $1.byteCount } } }

  /// How many images the last run could not use.
  public var skippedCount: Int { state.withLock { $0.manifest.skipped?.count ?? 0 } }

  /// The file that lists them, JSON Lines; nil where there are none.
  public var skippedFile: URL? { state.withLock { $0.manifest.skipped }.map { folder.segment($0.file) } }

  /// The images that the last run could not use.
  ///
  /// - Complexity: O(``skippedCount``)
  public var skipped: [SkippedImage] {
    get throws(SimilarityError) {
      let state = state.withLock { $0 }
      guard let file = state.manifest.skipped else { return [] }
      return try Self.skipped(file, state.map(file))
    }
  }
}

extension SegmentStore.State {
  /// One of the manifest's files.
  func map(_ file: Manifest.CountedFile) throws(SimilarityError) -> MappedFile {
    guard let mapped = wholeFiles[file.file] else { preconditionFailure("the manifest's files are mapped with it") }
    return try mapped.get()
  }

  /// Writes a file that is read as a whole, for the manifest to name.
  mutating func write(
    _ data: Data, count: Int, _ suffix: String, in folder: ModelFolder
  ) throws(SimilarityError) -> Manifest.CountedFile {
    let file = try Manifest.CountedFile.write(data, count: count, as: manifest.takeFileNumber() + suffix, in: folder)
    wholeFiles[file.file] = .success(try file.map(in: folder))
    return file
  }
}

extension SegmentStore {
  static func skipped(_ file: Manifest.CountedFile, _ mapped: MappedFile) throws(SimilarityError) -> [SkippedImage] {
    try JSONLines.decode(file.contents(of: mapped), name: mapped.name, as: SkippedImage.self)
  }
}

extension [SegmentStore.Segment] {
  /// Where an id (the same UTF-8 bytes) is live.
  func place(ofID id: String) throws(SimilarityError) -> (segment: Int, row: Int)? {
    for segment in indices.reversed() {
      if let row = try self[segment].liveRow(ofID: id) { return (segment, row) }
    }
    return nil
  }

  /// The searched vector of an image.
  package func searchedVector(ofID id: String) throws(SimilarityError) -> [Float]? {
    guard let place = try place(ofID: id) else { return nil }
    return try self[place.segment].searchedVector(place.row)
  }

  /// The record of an image.
  package func record(ofID id: String) throws(SimilarityError) -> ImageRecord? {
    guard let place = try place(ofID: id) else { return nil }
    return try self[place.segment].record(place.row)
  }

  /// The record of an image that was read from `path`; of the newest where there are several.
  package func record(ofPath path: String) throws(SimilarityError) -> ImageRecord? {
    for segment in reversed() {
      for row in try segment.records.candidates(forPath: path) where segment.isLive(row) {
        let record = try segment.record(row)
        if record.path == path { return record }
      }
    }
    return nil
  }
}
