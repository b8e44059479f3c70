/// What went wrong, in a sentence for people and a code for programs.
///
/// The message says what was expected, what was found and where. Codes may be added in later versions, so a `switch` over
/// them needs a default.
public struct SimilarityError: Error, Sendable, Hashable {
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    // Images

    /// The file is not there or may not be read.
    public static let imageUnreadable = Code(rawValue: "image-unreadable")
    /// No decoder knows the format, or the format is not trusted.
    public static let imageUnsupported = Code(rawValue: "image-unsupported")
    /// The picture is damaged, truncated or inconsistent.
    public static let imageCorrupt = Code(rawValue: "image-corrupt")
    /// Decoding would take more pixels, bytes or time than the limits allow.
    public static let imageTooLarge = Code(rawValue: "image-too-large")

    /// Whether the picture is to blame, and not what works on it.
    public var isAboutImage: Bool {
      [Code.imageUnreadable, .imageUnsupported, .imageCorrupt, .imageTooLarge].contains(self)
    }

    // Weights

    /// The weights file is not there or may not be read.
    public static let weightsUnreadable = Code(rawValue: "weights-unreadable")
    /// The weights file breaks the rules of its format.
    public static let weightsCorrupt = Code(rawValue: "weights-corrupt")
    /// The weights belong to another network: a tensor is missing, left over, of another shape, or not finite.
    public static let weightsMismatch = Code(rawValue: "weights-mismatch")

    // Models

    /// There is no model at the path.
    public static let modelNotFound = Code(rawValue: "model-not-found")
    /// There is already a model at the path.
    public static let modelExists = Code(rawValue: "model-exists")
    /// The model's files are damaged.
    public static let modelCorrupt = Code(rawValue: "model-corrupt")
    /// The model was written by a later version.
    public static let modelVersion = Code(rawValue: "model-version")
    /// Another process or object is writing to the model.
    public static let modelLocked = Code(rawValue: "model-locked")
    /// Embeddings of another extractor were offered or asked for.
    public static let fingerprintMismatch = Code(rawValue: "fingerprint-mismatch")

    // Everything else

    /// A vector has another number of elements than expected.
    public static let dimensionMismatch = Code(rawValue: "dimension-mismatch")
    /// A vector has an element that is NaN or infinite.
    public static let notFinite = Code(rawValue: "not-finite")
    /// A request that cannot be answered as it stands.
    public static let invalidArgument = Code(rawValue: "invalid-argument")
    /// No such id.
    public static let unknownID = Code(rawValue: "unknown-id")
    /// The operating system refused to read or write.
    public static let inputOutput = Code(rawValue: "input-output")
  }

  public var code: Code
  /// One or more sentences without a final full stop.
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

extension SimilarityError: CustomStringConvertible {
  public var description: String { message }
}
