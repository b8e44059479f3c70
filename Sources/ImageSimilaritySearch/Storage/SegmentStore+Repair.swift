public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A segment that is damaged, or of which a file is missing.
public struct DamagedSegment: Sendable, Hashable, Codable {
  /// Its files, in the model's folder `segments`.
  public var files: [String]
  /// What is wrong with the first damaged one.
  public var reason: String
  /// Number of images in it.
  public var rows: Int

  init(_ entry: Manifest.Segment, _ reason: String) {
    files = entry.fileNames
    self.reason = reason
    rows = entry.liveCount
  }
}

extension SegmentStore {
  /// The segments that could not be opened: everything else goes on without them.
  public var damaged: [DamagedSegment] { state.withLock { $0.damaged } }

  /// Compares all files with their checksums, and checks that no id is there twice.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the names of all damaged files.
  ///
  /// - Complexity: reads all files.
  public func verify() throws(SimilarityError) {
    let (manifest, segments) = state.withLock { ($0.manifest, $0.segments) }
    var problems = manifest.segments.flatMap { self.problems($0) }
    do throws(SimilarityError) { try checkSkipped(manifest) } catch { problems.append(error.message) }
    if problems.isEmpty, let id = try firstRepeatedID(segments) {
      problems.append("\(url.path) is damaged: it has the id \(id.debugDescription) twice")
    }
    if !problems.isEmpty { throw SimilarityError(.modelCorrupt, problems.joined(separator: "; ")) }
  }

  /// Drops what is damaged from the model in one commit, and returns it: index the images again to bring them back.
  ///
  /// - Complexity: reads all files.
  @discardableResult
  public func repair() throws(SimilarityError) -> [DamagedSegment] {
    try writer.withLock { lock throws(SimilarityError) in
      let old = state.withLock { $0 }
      if lock == nil { lock = try becomeWriter(old.manifest) }
      var damaged: [DamagedSegment] = []
      for entry in old.manifest.segments {
        if let problem = problems(entry).first { damaged.append(DamagedSegment(entry, problem)) }
      }
      let skippedIsSound = (try? checkSkipped(old.manifest)) != nil
      try commit(
        old,
        { state in
          state.segments.removeAll { segment in damaged.contains { $0.files == segment.entry.fileNames } }
          state.damaged = []
          if !skippedIsSound { (state.manifest.skipped, state.skippedFile) = (nil, nil) }
        }, &lock)
      return damaged
    }
  }

  /// The file as it is now, and not as it was mapped.
  private func checkSkipped(_ manifest: Manifest) throws(SimilarityError) {
    if let file = manifest.skipped { _ = try Self.skipped(file, file.map(in: folder)) }
  }

  /// What is wrong with each file of a segment.
  private func problems(_ entry: Manifest.Segment) -> [String] {
    var problems: [String] = []
    func check(_ body: () throws(SimilarityError) -> Void) {
      do throws(SimilarityError) {
        try body()
      } catch {
        if !problems.contains(error.message) { problems.append(error.message) }
      }
    }
    check { () throws(SimilarityError) in
      let dimension = extractor.fingerprint.dimension
      try StoredVectors(entry.vectors, rows: entry.rows, dimension: dimension, precision: precision, folder: folder)
        .file.verifyAgain()
    }
    check { () throws(SimilarityError) in _ = try entry.records.map(in: folder) }
    check { () throws(SimilarityError) in
      let records = try StoredRecords(entry, folder: folder)
      try records.lookup.verifyAgain()
      try records.lines.verifyAgain()
    }
    check { () throws(SimilarityError) in _ = try Segment.removed(entry, folder) }
    return problems
  }

  /// Compares ids only where their hashes are equal: 8 bytes of memory an image.
  private func firstRepeatedID(_ segments: [Segment]) throws(SimilarityError) -> String? {
    var hashes: [UInt64] = []
    for segment in segments {
      let byRow = try segment.records.idHashes()
      for row in segment.liveRows { hashes.append(byRow[row] ?? 0) }
    }
    hashes.sort()
    let repeated = Set(zip(hashes, hashes.dropFirst()).lazy.filter { $0 == $1 }.map(\.0))
    if repeated.isEmpty { return nil }
    var ids: Set<[UInt8]> = []
    for segment in segments {
      let byRow = try segment.records.idHashes()
      for row in segment.liveRows where repeated.contains(byRow[row] ?? 0) {
        let id = try segment.id(row)
        if !ids.insert(Array(id.utf8)).inserted { return id }
      }
    }
    return nil
  }
}
