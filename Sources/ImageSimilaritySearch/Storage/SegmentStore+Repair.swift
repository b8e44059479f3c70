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
    var problems = manifest.segments.flatMap { self.problems($0) + projectionProblems($0) }
    for file in manifest.wholeFiles {
      do throws(SimilarityError) { _ = try file.read(in: folder) } catch { problems.append(error.message) }
    }
    if problems.isEmpty, let id = try firstRepeatedID(segments) {
      problems.append("\(url.path) is damaged: it has the id \(id.debugDescription) twice")
    }
    if !problems.isEmpty { throw SimilarityError(.modelCorrupt, problems.joined(separator: "; ")) }
  }

  /// Drops what is damaged from the model in one commit, and returns it: index the images again to bring them back.
  ///
  /// Where only projected vectors are damaged, the embeddings are projected anew; where the projection itself is, the model
  /// goes back to embeddings as they are.
  ///
  /// - Complexity: reads all files.
  @discardableResult
  public func repair() throws(SimilarityError) -> [DamagedSegment] {
    try writer.withLock { lock throws(SimilarityError) in
      let old = state.withLock { $0 }
      if lock == nil { lock = try becomeWriter(old.manifest) }
      var damaged: [DamagedSegment] = []
      var kept: [Manifest.Segment] = []
      for entry in old.manifest.segments {
        if let problem = problems(entry).first {
          damaged.append(DamagedSegment(entry, problem))
        } else {
          kept.append(entry)
        }
      }
      let projectionIsSound = kept.allSatisfy { projectionProblems($0).isEmpty }
      try commit(
        old,
        { state throws(SimilarityError) in
          try dropDamagedFiles(from: &state)
          state.damaged = []
          state.segments = []
          for entry in kept { state.segments.append(try withoutProjection(entry)) }
          if projectionIsSound, state.manifest.projection == old.manifest.projection {
            for (index, entry) in kept.enumerated() {
              try state.segments[index].replaceProjected(entry.projected, of: state.manifest, in: folder)
            }
          } else {
            let projection = try state.projection(reading: state.manifest.projection)
            try use(state.manifest.projection, projection, in: &state)
          }
        }, &lock)
      return damaged
    }
  }

  /// Files as they are now, and not as they were mapped.
  private func dropDamagedFiles(from state: inout State) throws(SimilarityError) {
    func isSound(_ file: Manifest.CountedFile) -> Bool { (try? file.read(in: folder)) != nil }
    if let file = state.manifest.skipped, !isSound(file) { state.manifest.skipped = nil }
    state.manifest.attachments = state.manifest.attachments?.filter { isSound($0.value) }
    if let projection = state.manifest.projection, !projection.files.allSatisfy(isSound) {
      state.manifest.projection = isSound(projection.file) ? Manifest.Projection(file: projection.file) : nil
      state.projection = nil
    }
  }

  private func withoutProjection(_ entry: Manifest.Segment) throws(SimilarityError) -> Segment {
    var entry = entry
    entry.projected = nil
    return try Segment(entry, of: state.withLock { $0.manifest }, folder: folder)
  }

  private func projectionProblems(_ entry: Manifest.Segment) -> [String] {
    do throws(SimilarityError) {
      try Segment.projected(entry, of: state.withLock { $0.manifest }, folder)?.file.verifyAgain()
      return []
    } catch {
      return [error.message]
    }
  }

  /// What is wrong with each file of a segment, but for the projected vectors, which can be made again.
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
