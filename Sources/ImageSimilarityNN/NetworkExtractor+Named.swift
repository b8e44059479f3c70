public import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension NetworkExtractor {
  /// Prepares a backbone by name, as a command line gives it.
  ///
  /// - Parameters:
  ///   - weights: The weights file. Where nil, ``bundledBackbone`` has its own, and others are looked for in `cache`.
  ///   - cache: Where weights lie that have been downloaded.
  ///   - calibration: For ``Precision/int8``; may be nil for ``bundledBackbone`` with its own weights, which takes the one that
  ///     comes with the package.
  /// - Throws: ``SimilarityError/Code/invalidArgument`` for an unknown name; ``SimilarityError/Code/weightsUnreadable`` where
  ///   weights are needed, which says where they come from; ``SimilarityError/Code/weightsCorrupt`` where the publisher's file
  ///   in the cache is not what it was.
  public init(
    named name: String, weights: URL?, cache: WeightsCache = .standard, layer: EmbeddingLayer = .pooled,
    preprocessing: Preprocessing? = nil, resize: ResizeMode = defaultResize, precision: Precision = .fp32,
    calibration: Calibration? = nil
  ) throws(SimilarityError) {
    let backbone = try Backbones.named(name)
    var calibration = calibration
    let file: WeightsFile
    if let weights {
      file = try WeightsFile(contentsOf: weights)
    } else if name == Self.bundledBackbone {
      file = try Self.bundledWeights()
      if precision == .int8, calibration == nil { calibration = try Self.bundledCalibration() }
    } else if let cached = cache.url(for: name) {
      file = try WeightsFile(contentsOf: cached)
    } else {
      throw Self.missingWeights(of: name)
    }
    self = try NetworkExtractor(
      backbone, weights: file, layer: layer, preprocessing: preprocessing, resize: resize, precision: precision,
      calibration: calibration)

    let digest = specification.fingerprint.weights
    if weights == nil, let official = OfficialWeights.of(name), file.file.url == cache.place(official),
      !official.isDigest(digest)
    {
      throw SimilarityError(
        .weightsCorrupt,
        "\(file.file.name) is not the file that its publisher named so: its SHA-256 is \(digest), expected "
          + "\(official.sha256)\(official.sha256.count < 64 ? "..." : ""). 'imsim weights pull \(name)' replaces it")
    }
  }

  private static func missingWeights(of name: String) -> SimilarityError {
    var message = "\(name) does not come with weights"
    if let official = OfficialWeights.of(name) {
      message +=
        ": 'imsim weights pull \(name)' downloads torchvision's from \(official.url), once (in a program, WeightsStore of "
        + "the product ImageSimilarityWeights does); 'imsim weights add FILE' takes a file that is there"
    }
    return SimilarityError(
      .weightsUnreadable, message + ". Or give a safetensors or PyTorch file of them with --weights")
  }
}
