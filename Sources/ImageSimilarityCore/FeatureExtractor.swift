/// Turns pictures into embeddings: vectors that lie close together when the pictures look alike.
///
/// ## Conforming
/// State what you take and give in ``specification``, and write `specification.dimension` finite floats for each picture.
/// An extractor that needs scratch memory declares a ``Workspace``; each worker makes one, keeps it, and is the only one
/// that touches it. An extractor without scratch memory leaves it out:
///
/// ```swift
/// struct MeanColor: FeatureExtractor {
///   let specification = ExtractorSpecification(
///     input: ImageGeometry(size: PixelSize(width: 32, height: 32)),
///     fingerprint: ExtractorFingerprint(architecture: "mean-color", dimension: 3))
///
///   func extract(
///     _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
///   ) { ... }
/// }
/// ```
///
/// - A picture's embedding is the same to the bit whatever batch, position and thread it is computed in; "this is the same
///   picture" rests on it.
/// - Several threads call at once, each with its own workspace.
///
/// `ExtractorConformance` in the product ImageSimilarityTesting checks all of this.
public protocol FeatureExtractor: Sendable {
  /// Scratch memory of one worker; `Void` where none is needed.
  associatedtype Workspace = Void

  var specification: ExtractorSpecification { get }

  func makeWorkspace() -> Workspace

  /// Writes the embeddings of `images`, `[images.count, dimension]` row-major, to `embeddings`.
  ///
  /// - Precondition: `images.size` is the specification's, and `embeddings` has `images.count * dimension` elements.
  func extract(
    _ images: borrowing ImageBatch, using workspace: inout Workspace, into embeddings: inout MutableSpan<Float>
  ) throws(SimilarityError)
}

extension FeatureExtractor where Workspace == Void {
  public func makeWorkspace() {}
}

extension FeatureExtractor {
  /// Number of elements of an embedding.
  public var dimension: Int { specification.fingerprint.dimension }

  /// The embeddings of `images`, one row each.
  public func extract(_ images: borrowing ImageBatch) throws(SimilarityError) -> EmbeddingMatrix {
    var workspace = makeWorkspace()
    var values = [Float](repeating: 0, count: images.count * dimension)
    var span = values.mutableSpan
    try extract(images, using: &workspace, into: &span)
    return EmbeddingMatrix(rows: images.count, dimension: dimension, values: values)
  }
}

/// What an extractor takes, what it gives, and how to make it again.
public struct ExtractorSpecification: Sendable, Hashable, Codable {
  /// The pictures that it takes.
  public var input: ImageGeometry
  /// Where its embeddings come from.
  public var fingerprint: ExtractorFingerprint
  /// The weights file's absolute path, where the extractor was made from one: a hint for reopening a model, not part of its
  /// identity.
  public var weightsPath: String?
  /// What else an extractor needs to be made again, where it was measured and not chosen: the ranges of an 8-bit network's
  /// activations. A model keeps it. The fingerprint has its digest, so it is not part of the identity.
  public var calibration: JSONValue?

  public init(
    input: ImageGeometry, fingerprint: ExtractorFingerprint, weightsPath: String? = nil, calibration: JSONValue? = nil
  ) {
    self.input = input
    self.fingerprint = fingerprint
    self.weightsPath = weightsPath
    self.calibration = calibration
  }

  /// Whether embeddings of both can be compared: same fingerprint, same input geometry.
  public func isCompatible(with other: ExtractorSpecification) -> Bool {
    fingerprint == other.fingerprint && input == other.input
  }
}

/// Everything that decides the numbers of an embedding. Embeddings with different fingerprints are never compared.
public struct ExtractorFingerprint: Sendable, Hashable, Codable {
  /// For example `efficientnet-lite0`.
  public var architecture: String
  /// SHA-256 of the weights file in lower-case hexadecimal digits; empty where there are no weights.
  public var weights: String
  /// For example `imagenet`; empty where pixels are used as they are.
  public var preprocessing: String
  /// The layer that the embedding is read from, for example `pooled`.
  public var layer: String
  /// Number of elements of an embedding.
  public var dimension: Int
  /// Raised whenever the same weights and pixels begin to give other numbers.
  public var revision: Int
  /// The arithmetic: `fp32`, `bf16`, or `int8:` and the digest of the calibration.
  public var precision: String
  /// SHA-256 of the learnt projection that made the embedding of the extractor's; nil where there is none.
  public var projection: String?

  public init(
    architecture: String, weights: String = "", preprocessing: String = "", layer: String = "", dimension: Int,
    revision: Int = 1, precision: String = unstatedPrecision, projection: String? = nil
  ) {
    self.architecture = architecture
    self.weights = weights
    self.preprocessing = preprocessing
    self.layer = layer
    self.dimension = dimension
    self.revision = revision
    self.precision = precision
    self.projection = projection
  }

  /// The precision of fingerprints that do not state one: of all that were written before there was a choice.
  public static let unstatedPrecision = "fp32"

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      architecture: try container.decode(String.self, forKey: .architecture),
      weights: try container.decode(String.self, forKey: .weights),
      preprocessing: try container.decode(String.self, forKey: .preprocessing),
      layer: try container.decode(String.self, forKey: .layer),
      dimension: try container.decode(Int.self, forKey: .dimension),
      revision: try container.decode(Int.self, forKey: .revision),
      precision: try container.decodeIfPresent(String.self, forKey: .precision) ?? Self.unstatedPrecision,
      projection: try container.decodeIfPresent(String.self, forKey: .projection))
  }
}

extension ExtractorFingerprint: CustomStringConvertible {
  public var description: String {
    var parts = [architecture]
    if !layer.isEmpty { parts.append(layer) }
    if !preprocessing.isEmpty { parts.append(preprocessing) }
    if !weights.isEmpty { parts.append("weights \(weights.prefix(12))") }
    parts.append("\(dimension)-d")
    parts.append(precision)
    parts.append("revision \(revision)")
    if let projection { parts.append("projection \(projection.prefix(12))") }
    return parts.joined(separator: ", ")
  }
}
