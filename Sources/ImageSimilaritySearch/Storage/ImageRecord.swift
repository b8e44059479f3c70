public import ImageSimilarityCore

/// What a model knows about an image beside its embedding.
public struct ImageRecord: Sendable, Hashable, Codable {
  /// Unique within a model.
  public var id: String
  /// Where the image was read from.
  public var path: String?
  public var label: String?
  public var metadata: [String: JSONValue]?
  /// Size of the file in bytes, when it was read.
  public var bytes: Int64?
  /// When the file was last changed, in nanoseconds since 1970, when it was read.
  public var modified: Int64?

  public init(
    id: String, path: String? = nil, label: String? = nil, metadata: [String: JSONValue]? = nil, bytes: Int64? = nil,
    modified: Int64? = nil
  ) {
    self.id = id
    self.path = path
    self.label = label
    self.metadata = metadata
    self.bytes = bytes
    self.modified = modified
  }
}

/// An image that is not in a model, and why.
public struct SkippedImage: Sendable, Hashable, Codable {
  public var id: String
  public var path: String?
  /// A ``ImageSimilarityCore/SimilarityError/Code``'s raw value.
  public var code: String
  /// The error's message.
  public var reason: String

  public init(id: String, path: String? = nil, code: String, reason: String) {
    self.id = id
    self.path = path
    self.code = code
    self.reason = reason
  }
}
