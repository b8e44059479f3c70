#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A backbone's weights in a cache.
public struct StoredWeights: Sendable, Hashable {
  /// The backbone's name.
  public let backbone: String
  /// The file.
  public let url: URL
  public let byteCount: Int
  /// 64 lower-case hexadecimal digits.
  public let sha256: String
  /// Whether the file is the publisher's, as its SHA-256 says.
  public let isOfficial: Bool
  /// Whether the file has just come into the cache.
  public let isNew: Bool
}
