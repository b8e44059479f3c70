public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension SegmentStore {
  /// Rewrites a model of version 1 of the format in this version, in one commit: a process that ends at any moment leaves the old
  /// model or the new one. Returns false, and does nothing, where the model has this version already.
  ///
  /// - Complexity: reads all images, a segment at a time.
  @discardableResult
  public static func upgrade(at url: URL) throws(SimilarityError) -> Bool {
    try upgrade(at: url) { _ in }
  }

  @discardableResult
  package static func upgrade(
    at url: URL, afterStep: @escaping @Sendable (Step) -> Void
  ) throws(SimilarityError) -> Bool {
    let folder = ModelFolder(url)
    _ = try folder.mapManifest()
    let lock = try WriterLock(folder: url)
    let file = try folder.mapManifest()
    let header = try Manifest.Header(Manifest.bytes(file), file)
    guard header.version == ManifestV1.version, header.sha256 == nil else {
      _ = try Manifest(file)
      return false
    }
    let old = try ManifestV1(file)
    let manifest = Manifest(metric: old.metric, precision: .fp32, extractor: old.extractor, nextFile: old.nextFile)
    let store = SegmentStore(folder, State(manifest), lock: lock, afterStep: afterStep)
    var state = State(manifest)
    do throws(SimilarityError) {
      for segment in old.segments {
        let (embeddings, records) = try old.read(segment, in: folder)
        try store.append(embeddings, records, to: &state)
      }
      try store.setSkipped(old.skipped(in: folder), in: &state)
      state.manifest.segments = state.segments.map(\.entry)
    } catch {
      folder.removeLeftovers(keeping: old.fileNames)
      throw error
    }
    try folder.write(state.manifest)
    afterStep(.committed)
    folder.removeLeftovers(of: state.manifest)
    return true
  }
}
