package import ImageSimilarityCore
import Synchronization

#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

/// Small attachments that an application keeps with a model, by name. Setting one is a commit of its own.
extension SegmentStore {
  private static let maximumBytes = 64 << 20

  /// What was stored under a name.
  package func attachment(_ name: String) throws(SimilarityError) -> Data? {
    let state = state.withLock { $0 }
    guard let file = state.manifest.attachments?[name] else { return nil }
    return try file.contents(of: state.map(file))
  }

  /// Stores a document under a name, or removes it where nil.
  package func setAttachment(_ name: String, _ data: Data?) throws(SimilarityError) {
    guard data?.count ?? 0 <= Self.maximumBytes else {
      throw SimilarityError(
        .invalidArgument,
        "a model's attachments have at most \(Self.maximumBytes) bytes; \(name) has \(data?.count ?? 0)")
    }
    try change { state throws(SimilarityError) in
      var attachments = state.manifest.attachments ?? [:]
      attachments[name] = nil
      if let data {
        attachments[name] = try state.write(data, count: 1, Manifest.attachmentSuffix, in: folder)
        afterStep(.wroteFile)
      }
      state.manifest.attachments = attachments.isEmpty ? nil : attachments
    }
  }
}
