public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension SegmentStore {
  /// Becomes the writer; the first change does it otherwise.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelLocked`` where somebody else is, or was since this object was
  /// opened; ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` where a segment is damaged: see ``repair()``.
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
    try change { state throws(SimilarityError) in try append(embeddings, records, to: &state) }
  }

  func append(
    _ embeddings: EmbeddingMatrix, _ records: [ImageRecord], to state: inout State
  ) throws(SimilarityError) {
    if records.isEmpty { return }
    let vectors = CodedVectors(encoding: embeddings, as: precision)
    if let row = (0..<vectors.rows).first(where: { !vectors.squaredNorms[$0].isFinite }) {
      throw SimilarityError(
        .notFinite,
        "the embedding of \(records[row].id.debugDescription) has an element that is "
          + (precision == .fp16 ? "NaN, infinite or too large for fp16" : "NaN or infinite"))
    }
    let number = state.manifest.takeFileNumber()
    var entry = Manifest.Segment(
      rows: records.count, vectors: try VectorsWriter.write(vectors, to: folder.segment(number + StoredVectors.suffix)),
      records: Manifest.PlainFile(file: "", bytes: 0), lookup: Manifest.CheckedFile(file: "", bytes: 0, digest: ""))
    afterStep(.wroteFile)
    entry.projected = try state.projection(reading: state.manifest.projection).map {
      projection throws(SimilarityError) in
      try write(projection.project(vectors), number: number)
    }
    var writer = try RecordsWriter(folder: folder, number: number)
    for record in records { try writer.append(record) }
    (entry.records, entry.lookup) = try writer.commit { afterStep(.wroteFile) }

    let segment = try Segment(entry, of: state.manifest, folder: folder)
    var removed: [Int: Set<Int>] = [:]
    for (row, record) in records.enumerated() {
      if let last = try segment.records.rows(ofID: record.id).last, last != row {
        removed[state.segments.count, default: []].insert(row)
      } else if let old = try state.segments.place(ofID: record.id) {
        removed[old.segment, default: []].insert(old.row)
      }
    }
    state.segments.append(segment)
    try remove(removed, from: &state)
  }

  /// Removes what is there of `ids` in one commit, and returns how many were.
  @discardableResult
  public func remove(_ ids: [String]) throws(SimilarityError) -> Int {
    var count = 0
    try change { state throws(SimilarityError) in
      var removed: [Int: Set<Int>] = [:]
      for id in ids {
        guard let old = try state.segments.place(ofID: id) else { continue }
        if removed[old.segment, default: []].insert(old.row).inserted { count += 1 }
      }
      try remove(removed, from: &state)
    }
    return count
  }

  /// Replaces records of images that are there, and keeps their embeddings, in one commit.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/unknownID`` where an id is not there; nothing has changed then.
  public func updateRecords(_ records: [ImageRecord]) throws(SimilarityError) {
    if records.isEmpty { return }
    try change { state throws(SimilarityError) in
      var updates: [Int: [Int: ImageRecord]] = [:]
      for record in records {
        guard let place = try state.segments.place(ofID: record.id) else {
          throw SimilarityError(.unknownID, "the model has no image \(record.id.debugDescription)")
        }
        updates[place.segment, default: [:]][place.row] = record
      }
      for (number, updates) in updates.sorted(by: { $0.key < $1.key }) {
        let segment = state.segments[number]
        var writer = try RecordsWriter(folder: folder, number: state.manifest.takeFileNumber())
        let pathHashes = try segment.records.pathHashes()
        for row in 0..<segment.rows {
          if let record = updates[row] {
            try writer.append(record)
          } else {
            try writer.append(
              line: segment.records.line(row), id: segment.id(row), pathHash: pathHashes[row])
          }
        }
        try state.segments[number].replaceRecords(writer.commit { afterStep(.wroteFile) }, in: folder)
      }
    }
  }

  /// Replaces the list of images that could not be used.
  public func setSkipped(_ skipped: [SkippedImage]) throws(SimilarityError) {
    try change { state throws(SimilarityError) in try setSkipped(skipped, in: &state) }
  }

  func setSkipped(_ skipped: [SkippedImage], in state: inout State) throws(SimilarityError) {
    state.manifest.skipped = nil
    if skipped.isEmpty { return }
    state.manifest.skipped = try state.write(
      JSONLines.encode(skipped), count: skipped.count, Manifest.skippedSuffix, in: folder)
    afterStep(.wroteFile)
  }

  /// Makes one change: `body` writes new files and changes the state, then the manifest is replaced, then the files that it
  /// no longer names are removed. Where something throws before the manifest is replaced, nothing has changed.
  func change(_ body: (inout State) throws(SimilarityError) -> Void) throws(SimilarityError) {
    try writer.withLock { lock throws(SimilarityError) in
      let old = state.withLock { $0 }
      if let first = old.damaged.first {
        throw SimilarityError(
          .modelCorrupt,
          "\(url.path) cannot be changed as long as it is damaged: run 'imsim repair \(url.path)' first (\(first.reason))"
        )
      }
      if lock == nil { lock = try becomeWriter(old.manifest) }
      try commit(old, body, &lock)
    }
  }

  func commit(
    _ old: State, _ body: (inout State) throws(SimilarityError) -> Void, _ lock: inout WriterLock?
  ) throws(SimilarityError) {
    var new = old
    do throws(SimilarityError) {
      try body(&new)
      new.manifest.segments = new.segments.map(\.entry)
      let names = new.manifest.fileNames
      new.wholeFiles = new.wholeFiles.filter { names.contains($0.key) }
      if new.manifest != old.manifest {
        try folder.write(new.manifest)
        afterStep(.committed)
      }
    } catch {
      if (try? folder.readManifest()) == old.manifest {
        folder.removeLeftovers(of: old.manifest)
      } else {
        // Nobody knows whether the disk has the new manifest: open the model again to see.
        lock = nil
      }
      throw error
    }
    let committed = new
    state.withLock { $0 = committed }
    for name in old.manifest.fileNames.subtracting(committed.manifest.fileNames).sorted() {
      folder.remove(name)
      afterStep(.removedFile)
    }
  }

  func becomeWriter(_ manifest: Manifest) throws(SimilarityError) -> WriterLock {
    let lock = try WriterLock(folder: url)
    guard try folder.readManifest() == manifest else {
      throw SimilarityError(
        .modelLocked, "\(url.path) was changed by somebody else after it was opened: open it again")
    }
    folder.removeLeftovers(of: manifest)
    return lock
  }

  /// Removes rows, by segment.
  private func remove(_ rows: [Int: Set<Int>], from state: inout State) throws(SimilarityError) {
    for (segment, rows) in rows.sorted(by: { $0.key < $1.key }) {
      try state.segments[segment].remove(
        rows, writing: state.manifest.takeFileNumber() + RowBitmap.suffix, in: folder)
      afterStep(.wroteFile)
    }
  }
}
