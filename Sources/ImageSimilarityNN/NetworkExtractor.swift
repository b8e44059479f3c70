internal import CSimilarityKernels
public import ImageSimilarityCore
public import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A convolutional network as a feature extractor, on kernels for the processor's vector instructions.
///
/// Preparation folds batch normalisation into the weights, packs them for the kernels and lays out all memory. After that,
/// threads share everything but a ``NetworkWorkspace``, whose size does not depend on the batch. Swap the backbone in one
/// line:
///
/// ```swift
/// let small = try NetworkExtractor(SqueezeNet(.version1x1), weights: WeightsFile(contentsOf: url))
/// ```
public struct NetworkExtractor: FeatureExtractor {
  public let specification: ExtractorSpecification
  let plan: NetworkPlan
  private let backbone: any Backbone
  private let source: any WeightSource
  private let layer: EmbeddingLayer
  private let preprocessing: Preprocessing

  /// The mode that retrieves best: on Caltech-101 (20 images of each class) with the bundled network, precision at 1 and
  /// mean average precision are .886 and .705 with pad, .871 and .691 with squash, .868 and .683 with crop
  /// (Scripts/goldens/retrieval.py). Part of the lead is due to white backgrounds, which white padding continues.
  public static let defaultResize = ResizeMode.pad

  /// Raised whenever the same weights and pixels begin to give other numbers.
  private static let numericsRevision = 2

  /// Prepares `backbone` with `weights`.
  ///
  /// - Parameters:
  ///   - layer: The layer that the embedding is read from.
  ///   - preprocessing: What the weights expect of pixels; the backbone's usual one where nil.
  ///   - resize: How pictures get to the network's input size.
  ///   - precision: The arithmetic.
  ///   - calibration: The ranges of the activations; ``Precision/int8`` needs them, and nothing else takes them.
  /// - Throws: ``SimilarityError/Code/weightsMismatch``, which names the tensors that are missing, left over, misshaped or
  ///   not finite; ``SimilarityError/Code/invalidArgument`` where the calibration is missing, or another network's.
  public init(
    _ backbone: any Backbone, weights: WeightsFile, layer: EmbeddingLayer = .pooled,
    preprocessing: Preprocessing? = nil, resize: ResizeMode = defaultResize, precision: Precision = .fp32,
    calibration: Calibration? = nil
  ) throws(SimilarityError) {
    let path = weights.file.isMapped ? weights.file.url.standardizedFileURL.path : nil
    try self.init(
      backbone, source: weights, weightsPath: path, layer: layer, preprocessing: preprocessing, resize: resize,
      precision: precision, calibration: calibration)
    weights.file.release(0..<weights.file.count)
  }

  /// - Parameters:
  ///   - weightsPath: The absolute path of the file that the weights come from.
  ///   - layerName: What the fingerprint says of the layer; its name where nil.
  package init(
    _ backbone: any Backbone, source: any WeightSource, weightsPath: String?, layer: EmbeddingLayer = .pooled,
    layerName: String? = nil, preprocessing: Preprocessing? = nil, resize: ResizeMode = defaultResize,
    precision: Precision = .fp32, calibration: Calibration? = nil
  ) throws(SimilarityError) {
    let preprocessing = preprocessing ?? backbone.preprocessing
    let digest = source.digest
    try Self.check(precision, calibration, architecture: backbone.name, weights: digest)
    plan = try NetworkPlan(
      backbone, layer: layer, parameters: NetworkParameters(file: source), preprocessing: preprocessing,
      precision: precision, calibration: calibration)
    specification = ExtractorSpecification(
      input: ImageGeometry(size: backbone.inputSize, resize: resize),
      fingerprint: ExtractorFingerprint(
        architecture: backbone.name, weights: digest, preprocessing: preprocessing.rawValue,
        layer: layerName ?? layer.rawValue, dimension: plan.dimension, revision: Self.numericsRevision,
        precision: precision.fingerprint(calibration)),
      weightsPath: weightsPath, calibration: calibration?.json)
    self.backbone = backbone
    self.source = source
    self.layer = layer
    self.preprocessing = preprocessing
  }

  /// The network that this extractor runs, for exporters. Its weights are those of the file, whatever the precision.
  ///
  /// - Throws: ``SimilarityError/Code/invalidArgument`` where it has layers that files for other programs do not have here.
  package func folded() throws(SimilarityError) -> FoldedNetwork {
    try FoldedNetwork(backbone, weights: source, layer: layer, preprocessing: preprocessing)
  }

  /// The network up to the pooled embedding, for pictures of another size.
  func pooledPlan(inputSize: PixelSize) throws(SimilarityError) -> NetworkPlan {
    guard inputSize != plan.inputSize || layer != .pooled else { return plan }
    guard backbone.takesAnySize || inputSize == backbone.inputSize else {
      throw SimilarityError(
        .invalidArgument, "\(backbone.name) takes pictures of \(backbone.inputSize) alone, not of \(inputSize)")
    }
    return try NetworkPlan(
      backbone, layer: .pooled, parameters: NetworkParameters(file: source), preprocessing: preprocessing,
      precision: Precision(fingerprint: specification.fingerprint.precision) ?? .fp32,
      calibration: Calibration(storedIn: specification), inputSize: inputSize)
  }

  /// Whether ``featureMaps(inputSize:)`` takes sizes other than the extractor's own.
  package var takesAnySize: Bool { backbone.takesAnySize }

  public func makeWorkspace() -> NetworkWorkspace { NetworkWorkspace(plan: plan) }

  public func extract(
    _ images: borrowing ImageBatch, using workspace: inout NetworkWorkspace, into embeddings: inout MutableSpan<Float>
  ) throws(SimilarityError) {
    precondition(
      embeddings.count == images.count * dimension, "\(images.count) images have \(images.count * dimension) elements")
    let count = images.count
    images.withPixels { pixels in
      plan.run(pixels: pixels, count: count, workspace: workspace, embeddings: &embeddings)
    }
  }

  /// The instruction set whose kernels run here: `portable`, `avx2`, `avx512`, `avx512vnni` or `avx512bf16`. It is the
  /// best of this processor, or what the environment variable `IMSIM_ISA` names, where that is lower.
  public static var instructionSet: String {
    unsafe String(cString: imsim_level_name(imsim_level_current()))
  }
}
