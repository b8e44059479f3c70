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
  ///   - weights: The weights file; may be nil for ``bundledBackbone`` alone.
  ///   - calibration: For ``Precision/int8``; may be nil where `weights` is, which takes the one that comes with the package.
  /// - Throws: ``SimilarityError/Code/invalidArgument`` for an unknown name; ``SimilarityError/Code/weightsUnreadable`` where
  ///   weights are needed, which says where they come from.
  public init(
    named name: String, weights: URL?, layer: EmbeddingLayer = .pooled, preprocessing: Preprocessing? = nil,
    resize: ResizeMode = defaultResize, precision: Precision = .fp32, calibration: Calibration? = nil
  ) throws(SimilarityError) {
    let backbone = try Backbones.named(name)
    var calibration = calibration
    let file: WeightsFile
    if let weights {
      file = try WeightsFile(contentsOf: weights)
    } else if name == Self.bundledBackbone {
      file = try Self.bundledWeights()
      if precision == .int8, calibration == nil { calibration = try Self.bundledCalibration() }
    } else {
      var message = "\(name) does not come with weights; give a safetensors or PyTorch file of them"
      if let official = OfficialWeights.of(name) {
        message +=
          ". torchvision's are published at \(official.url). Download them once:\n"
          + "  curl -LO \(official.url)\n"
          + "and add: --weights \(official.fileName)"
      }
      throw SimilarityError(.weightsUnreadable, message)
    }
    self = try NetworkExtractor(
      backbone, weights: file, layer: layer, preprocessing: preprocessing, resize: resize, precision: precision,
      calibration: calibration)
  }
}
