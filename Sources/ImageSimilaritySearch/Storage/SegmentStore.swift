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
/// manifest.json                format, version, metric, extractor, segments (files, sizes, SHA-256, removed rows)
/// segments/000001.safetensors  tensor "embeddings", F32 [rows, dimension]
/// segments/000001.jsonl        one record a row
/// skipped.jsonl                images that are not in the model, and why
/// lock                         held by the writer
/// ```
///
/// Every change writes new files, brings them to the disk, and then replaces the manifest in one step: that is the commit. A
/// process that ends at any moment leaves the state before or the state after it, and at most files that no manifest names,
/// which the next writer removes.
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

  /// What readers of this object see; replaced at each commit.
  private let state: Mutex<State>
  /// Held during a change; nil until the first one.
  private let writer = Mutex<WriterLock?>(nil)
  /// Called after each step of opening and of a change.
  private let afterStep: @Sendable (Step) -> Void

  /// The moments at which a process may end or another one may step in; tests do both.
  package enum Step: Sendable {
    case readManifest, wroteFile, committed, removedFile
  }

  /// Changes once in memory and once on disk.
  private struct State {
    var manifest: Manifest
    var segments: [Segment]
    var locations: [String: Location]
    var skipped: [SkippedImage]
  }

  private struct Location {
    var segment: Int
    var row: Int
  }

  private static let skippedName = "skipped.jsonl"
  private static let temporarySuffix = ".tmp"
  private var segmentsFolder: URL { Self.segmentsFolder(url) }
  private static func segmentsFolder(_ url: URL) -> URL {
    url.appending(path: Manifest.File.folderName, directoryHint: .isDirectory)
  }
  private static func manifestURL(_ url: URL) -> URL {
    url.appending(path: Manifest.fileName, directoryHint: .notDirectory)
  }

  private init(
    _ url: URL, _ state: State, lock: WriterLock?, afterStep: @escaping @Sendable (Step) -> Void
  ) {
    self.url = url
    extractor = state.manifest.extractor
    metric = state.manifest.metric
    self.state = Mutex(state)
    self.afterStep = afterStep
    writer.withLock { $0 = lock }
  }

  /// Version of the on-disk format that this version writes.
  public static var formatVersion: Int { Manifest.version }

  /// Whether there is a model, sound or not, at `url`.
  public static func isModel(at url: URL) -> Bool {
    FileManager.default.fileExists(atPath: manifestURL(url).path)
      && FileManager.default.fileExists(atPath: segmentsFolder(url).path)
  }

  // MARK: - Creating and opening

  /// Makes an empty model in a new or empty folder, and becomes its writer.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelExists`` where there is a model,
  /// ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there is something else,
  /// ``ImageSimilarityCore/SimilarityError/Code/inputOutput`` where the folder cannot be written.
  public static func create(
    at url: URL, extractor: ExtractorSpecification, metric: Metric
  ) throws(SimilarityError) -> SegmentStore {
    try create(at: url, extractor: extractor, metric: metric) { _ in }
  }

  package static func create(
    at url: URL, extractor: ExtractorSpecification, metric: Metric, afterStep: @escaping @Sendable (Step) -> Void
  ) throws(SimilarityError) -> SegmentStore {
    try checkVacant(url)
    do {
      try FileManager.default.createDirectory(at: segmentsFolder(url), withIntermediateDirectories: true)
    } catch {
      throw SimilarityError(.inputOutput, "cannot make the folder \(url.path): \(systemReason(error))")
    }
    try fsyncDirectory(url.deletingLastPathComponent())
    let lock = try WriterLock(folder: url)
    // Somebody else may have been faster.
    try checkVacant(url)
    let manifest = Manifest(metric: metric, extractor: extractor)
    try writeAtomically(manifest.encoded(), to: manifestURL(url))
    afterStep(.committed)
    let state = State(manifest: manifest, segments: [], locations: [:], skipped: [])
    return SegmentStore(url, state, lock: lock, afterStep: afterStep)
  }

  /// Opens a model: maps its embeddings, and reads and checks the rest.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelNotFound``,
  /// ``ImageSimilarityCore/SimilarityError/Code/modelVersion``, or
  /// ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the name of the file, what was expected and what was
  /// found.
  public static func open(at url: URL) throws(SimilarityError) -> SegmentStore {
    try open(at: url) { _ in }
  }

  package static func open(
    at url: URL, afterStep: @escaping @Sendable (Step) -> Void
  ) throws(SimilarityError) -> SegmentStore {
    // A writer may replace the manifest and remove files while they are being opened: then begin again.
    var attempts = 0
    while true {
      attempts += 1
      let manifest = try readManifest(url)
      afterStep(.readManifest)
      do throws(SimilarityError) {
        return SegmentStore(url, try load(manifest, url), lock: nil, afterStep: afterStep)
      } catch {
        if attempts == 10 { throw error }
        if try readManifest(url) == manifest { throw error }
      }
    }
  }

  private static func readManifest(_ url: URL) throws(SimilarityError) -> Manifest {
    guard FileManager.default.fileExists(atPath: manifestURL(url).path) else {
      throw SimilarityError(.modelNotFound, "there is no model at \(url.path): it has no \(Manifest.fileName)")
    }
    return try Manifest(MappedFile(contentsOf: manifestURL(url)))
  }

  private static func load(_ manifest: Manifest, _ url: URL) throws(SimilarityError) -> State {
    var state = State(manifest: manifest, segments: [], locations: [:], skipped: [])
    for entry in manifest.segments {
      let segment = try Segment(
        entry, folder: segmentsFolder(url), dimension: manifest.extractor.fingerprint.dimension)
      for (row, record) in segment.records.enumerated() where segment.isLive(row) {
        let location = Location(segment: state.segments.count, row: row)
        if state.locations.updateValue(location, forKey: record.id) != nil {
          throw SimilarityError(
            .modelCorrupt,
            "\(segmentsFolder(url).path)/\(entry.records.file) is damaged: line \(row + 1) has the id "
              + "\(record.id.debugDescription), which the model has already")
        }
      }
      state.segments.append(segment)
    }
    let skippedURL = url.appending(path: skippedName, directoryHint: .notDirectory)
    if FileManager.default.fileExists(atPath: skippedURL.path) {
      state.skipped = try JSONLines.decode(MappedFile(contentsOf: skippedURL), as: SkippedImage.self)
    }
    return state
  }

  /// Throws unless there is nothing at `url`, an empty folder, or what remains of a creation that was interrupted.
  private static func checkVacant(_ url: URL) throws(SimilarityError) {
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
      $0 != WriterLock.fileName && $0 != Manifest.File.folderName && !isTemporary($0)
    }) {
      throw SimilarityError(
        .invalidArgument,
        "cannot make a model at \(url.path): the folder is neither empty nor a model; it has, for example, \(other)")
    }
  }

  private static func contents(of folder: URL) throws(SimilarityError) -> [String] {
    do {
      return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    } catch {
      throw SimilarityError(.inputOutput, "cannot list the folder \(folder.path): \(systemReason(error))")
    }
  }

  private static func isTemporary(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(temporarySuffix) }

  // MARK: - Reading

  /// Number of images.
  public var count: Int { state.withLock { $0.locations.count } }

  /// All ids in ascending order.
  ///
  /// - Complexity: O(`count * log(count)`)
  public var ids: [String] { state.withLock { $0.locations }.keys.sorted() }

  /// All segments, from the oldest to the newest. Each id is live in one row of one segment.
  public var segments: [Segment] { state.withLock { $0.segments } }

  /// The record of an image.
  ///
  /// - Complexity: O(1)
  public func record(_ id: String) -> ImageRecord? {
    state.withLock { state in
      state.locations[id].map { state.segments[$0.segment].records[$0.row] }
    }
  }

  /// The records of all images, in no particular order.
  ///
  /// - Complexity: O(`count`)
  public var records: [ImageRecord] { segments.flatMap(\.liveRecords) }

  /// The embedding of an image.
  ///
  /// - Complexity: O(dimension)
  public func embedding(_ id: String) -> [Float]? {
    state.withLock { state in
      state.locations[id].map { state.segments[$0.segment].embeddings[$0.row] }
    }
  }

  /// Size of the segments on disk.
  public var byteCount: Int {
    state.withLock { state in
      state.manifest.segments.reduce(0) { $0 + $1.embeddings.bytes + $1.records.bytes }
    }
  }

  /// The images that the last run could not use.
  public var skipped: [SkippedImage] { state.withLock { $0.skipped } }

  /// Compares all files with the checksums in the manifest.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the names of all damaged files.
  ///
  /// - Complexity: reads all files.
  public func verify() throws(SimilarityError) {
    let manifest = state.withLock { $0.manifest }
    var problems: [String] = []
    for entry in manifest.segments.flatMap({ [$0.embeddings, $0.records] }) {
      do throws(SimilarityError) {
        let file = try Segment.map(entry, segmentsFolder)
        let digest = SHA256.hexDigest(of: file)
        if digest != entry.sha256 {
          problems.append("\(file.name) is damaged: expected the SHA-256 \(entry.sha256), found \(digest)")
        }
      } catch {
        problems.append(error.message)
      }
    }
    if !problems.isEmpty { throw SimilarityError(.modelCorrupt, problems.joined(separator: "; ")) }
  }

  // MARK: - Writing

  /// Becomes the writer; the first change does it otherwise.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelLocked`` where somebody else is, or was since this object was
  /// opened.
  public func beginWriting() throws(SimilarityError) {
    try change { _ throws(SimilarityError) in }
  }

  /// Ends being the writer.
  public func close() {
    writer.withLock { $0 = nil }
  }

  /// Stores images, row `i` of `embeddings` with `records[i]`, in one commit. An image whose id is there already is replaced; of
  /// equal ids within one call, the last row stays.
  ///
  /// Each call makes a segment, so call with hundreds of rows, and ``compactIfNeeded()`` now and then.
  public func append(_ embeddings: EmbeddingMatrix, _ records: [ImageRecord]) throws(SimilarityError) {
    guard records.count == embeddings.rows else {
      throw SimilarityError(
        .invalidArgument, "each image needs a record: found \(records.count) records for \(embeddings.rows) rows")
    }
    guard embeddings.dimension == extractor.fingerprint.dimension else {
      throw SimilarityError(
        .dimensionMismatch,
        "the model holds embeddings of \(extractor.fingerprint.dimension) elements, not of \(embeddings.dimension)")
    }
    if let row = embeddings.squaredNorms().firstIndex(where: { !$0.isFinite }) {
      throw SimilarityError(
        .notFinite, "the embedding of \(records[row].id.debugDescription) has an element that is NaN or infinite")
    }
    if records.isEmpty { return }
    try change { state throws(SimilarityError) in
      let number = state.segments.count
      state.segments.append(try write(embeddings, records, &state.manifest))
      var removed: [Int: [Int]] = [:]
      for (row, record) in records.enumerated() {
        let location = Location(segment: number, row: row)
        if let old = state.locations.updateValue(location, forKey: record.id) {
          removed[old.segment, default: []].append(old.row)
        }
      }
      Self.remove(removed, from: &state)
    }
  }

  /// Removes what is there of `ids` in one commit, and returns how many were.
  @discardableResult
  public func remove(_ ids: [String]) throws(SimilarityError) -> Int {
    var count = 0
    try change { state throws(SimilarityError) in
      var removed: [Int: [Int]] = [:]
      for id in ids {
        guard let old = state.locations.removeValue(forKey: id) else { continue }
        removed[old.segment, default: []].append(old.row)
        count += 1
      }
      Self.remove(removed, from: &state)
    }
    return count
  }

  /// Replaces records of images that are there, and keeps their embeddings, in one commit.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/unknownID`` where an id is not there; nothing has changed then.
  public func updateRecords(_ records: [ImageRecord]) throws(SimilarityError) {
    if records.isEmpty { return }
    try change { state throws(SimilarityError) in
      var touched: Set<Int> = []
      for record in records {
        guard let location = state.locations[record.id] else {
          throw SimilarityError(.unknownID, "the model has no image \(record.id.debugDescription)")
        }
        state.segments[location.segment].records[location.row] = record
        touched.insert(location.segment)
      }
      for segment in touched.sorted() {
        let name = state.manifest.takeFileNumber() + Manifest.Segment.recordsSuffix
        state.segments[segment].entry.records = try write(records: state.segments[segment].records, name)
      }
    }
  }

  /// Replaces the list of images that could not be used.
  public func setSkipped(_ skipped: [SkippedImage]) throws(SimilarityError) {
    let data = try JSONLines.encode(skipped)
    try change { state throws(SimilarityError) in
      try writeAtomically(data, to: url.appending(path: Self.skippedName, directoryHint: .notDirectory))
      afterStep(.wroteFile)
      state.skipped = skipped
    }
  }

  /// Rewrites segments of which more than half is removed, and merges segments where there are eight of about the same size
  /// (within a factor of eight), so that a row is rewritten O(log(n)) times.
  ///
  /// Segments are not merged beyond 16 MiB, so that the memory that this takes, a few times as much, does not grow with the
  /// model; a single call of ``append(_:_:)`` may store more. A model of n images has O(n * dimension / 16 MiB) segments.
  public func compactIfNeeded() throws(SimilarityError) {
    while !Self.segmentsToRewrite(segments).isEmpty {
      try change { state throws(SimilarityError) in
        let group = Self.segmentsToRewrite(state.segments)
        let old = group.map { state.segments[$0] }
        let records = old.flatMap(\.liveRecords)
        var kept = state.segments.indices.filter { !group.contains($0) }.map { state.segments[$0] }
        if !records.isEmpty {
          let dimension = extractor.fingerprint.dimension
          var values: [Float] = []
          values.reserveCapacity(records.count * dimension)
          for segment in old {
            for row in segment.records.indices where segment.isLive(row) {
              values.append(contentsOf: segment.embeddings[row])
            }
          }
          let merged = EmbeddingMatrix(rows: records.count, dimension: dimension, values: values)
          kept.append(try write(merged, records, &state.manifest))
        }
        state.segments = kept
        state.locations = [:]
        for (number, segment) in kept.enumerated() {
          for (row, record) in segment.records.enumerated() where segment.isLive(row) {
            state.locations[record.id] = Location(segment: number, row: row)
          }
        }
      }
    }
  }

  /// 16 MiB.
  private static let mergedBytes = 16 << 20

  /// Indices of segments to be replaced by one; empty where all is well.
  private static func segmentsToRewrite(_ segments: [Segment]) -> [Int] {
    if let mostlyRemoved = segments.firstIndex(where: { $0.liveCount * 2 < $0.records.count }) {
      return [mostlyRemoved]
    }
    let classes = Dictionary(grouping: segments.indices) { index in
      // Octal digits of the size.
      (Int.bitWidth - segments[index].liveCount.leadingZeroBitCount + 2) / 3
    }
    for (_, members) in classes.sorted(by: { $0.key < $1.key }) where members.count >= 8 {
      var group: [Int] = []
      var bytes = 0
      for index in members.sorted(by: { (segments[$0].liveCount, $0) < (segments[$1].liveCount, $1) }) {
        bytes += segments[index].liveCount * segments[index].embeddings.dimension * MemoryLayout<Float>.stride
        if bytes > mergedBytes { break }
        group.append(index)
      }
      if group.count >= 2 { return group.sorted() }
    }
    return []
  }

  /// Makes one change: `body` writes new files and changes the state, then the manifest is replaced, then the files that it
  /// no longer names are removed. Where something throws before the manifest is replaced, nothing has changed.
  private func change(_ body: (inout State) throws(SimilarityError) -> Void) throws(SimilarityError) {
    try writer.withLock { lock throws(SimilarityError) in
      let old = state.withLock { $0 }
      if lock == nil { lock = try becomeWriter(old.manifest) }
      var new = old
      try body(&new)
      new.manifest.segments = new.segments.map(\.entry)
      if new.manifest != old.manifest {
        try writeAtomically(new.manifest.encoded(), to: Self.manifestURL(url))
        afterStep(.committed)
      }
      let committed = new
      state.withLock { $0 = committed }
      removeFiles(old.manifest.fileNames.subtracting(committed.manifest.fileNames))
    }
  }

  private func becomeWriter(_ manifest: Manifest) throws(SimilarityError) -> WriterLock {
    let lock = try WriterLock(folder: url)
    guard try Self.readManifest(url) == manifest else {
      throw SimilarityError(
        .modelLocked, "\(url.path) was changed by somebody else after it was opened: open it again")
    }
    // What a writer that was interrupted has left.
    let known = manifest.fileNames
    removeFiles(
      Set(
        try Self.contents(of: segmentsFolder).filter { name in
          Self.isTemporary(name)
            || !known.contains(name)
              && (Manifest.isFileName(name, suffix: Manifest.Segment.embeddingsSuffix)
                || Manifest.isFileName(name, suffix: Manifest.Segment.recordsSuffix))
        }))
    for name in try Self.contents(of: url) where Self.isTemporary(name) {
      try? FileManager.default.removeItem(at: url.appending(path: name, directoryHint: .notDirectory))
    }
    return lock
  }

  /// A file that cannot be removed only takes room, and the next writer tries again.
  private func removeFiles(_ names: Set<String>) {
    for name in names.sorted() {
      try? FileManager.default.removeItem(at: segmentsFolder.appending(path: name, directoryHint: .notDirectory))
      afterStep(.removedFile)
    }
  }

  private static func remove(_ rows: [Int: [Int]], from state: inout State) {
    for (segment, rows) in rows {
      state.segments[segment].entry.removed = (state.segments[segment].entry.removed + rows).sorted()
    }
  }

  /// Writes a new segment and maps it.
  private func write(
    _ embeddings: EmbeddingMatrix, _ records: [ImageRecord], _ manifest: inout Manifest
  ) throws(SimilarityError) -> Segment {
    let number = manifest.takeFileNumber()
    let name = number + Manifest.Segment.embeddingsSuffix
    var tensors = SafetensorsWriter()
    tensors.add(Manifest.Segment.tensorName, embeddings)
    try tensors.write(to: segmentsFolder.appending(path: name, directoryHint: .notDirectory))
    afterStep(.wroteFile)
    let entry = Manifest.Segment(
      rows: records.count, embeddings: try describe(name),
      records: try write(records: records, number + Manifest.Segment.recordsSuffix), removed: [])
    return try Segment(entry, folder: segmentsFolder, dimension: embeddings.dimension)
  }

  private func write(records: [ImageRecord], _ name: String) throws(SimilarityError) -> Manifest.File {
    try writeAtomically(
      JSONLines.encode(records), to: segmentsFolder.appending(path: name, directoryHint: .notDirectory))
    afterStep(.wroteFile)
    return try describe(name)
  }

  private func describe(_ name: String) throws(SimilarityError) -> Manifest.File {
    let file = try MappedFile(contentsOf: segmentsFolder.appending(path: name, directoryHint: .notDirectory))
    return Manifest.File(file: name, bytes: file.count, sha256: SHA256.hexDigest(of: file))
  }
}
