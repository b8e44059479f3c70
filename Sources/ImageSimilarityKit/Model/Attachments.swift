package import ImageSimilarityCore
internal import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What parts of the kit keep with a model: small values, as JSON, by name.
extension SimilarityModel {
  /// What was stored under a name; nil where there is nothing.
  package func attachment<Value: Decodable>(
    _ name: String, as type: Value.Type
  ) throws(SimilarityError) -> Value? {
    guard let data = try store.attachment(name) else { return nil }
    do {
      return try JSONDecoder().decode(type, from: data)
    } catch {
      throw SimilarityError(.modelCorrupt, "\(url.path): the attachment \(name) is not what was expected: \(error)")
    }
  }

  /// Stores a value under a name, or removes what is there where nil, in one commit.
  package func setAttachment<Value: Encodable & Sendable>(_ name: String, _ value: Value?) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try value.map(encoder.encode)
    try await writing.take { [self] in
      try store.beginWriting()
      defer { store.close() }
      try store.setAttachment(name, data)
    }
  }
}
