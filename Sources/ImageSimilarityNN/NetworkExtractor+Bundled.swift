internal import CBundledWeights
public import ImageSimilarityCore
package import ImageSimilarityFiles

extension NetworkExtractor {
  /// The backbone whose weights come with this package.
  public static let bundledBackbone = "efficientnet-lite0"

  /// EfficientNet-Lite0 with the weights that come with this package: 1280-d pooled embeddings, no class scores.
  ///
  /// - Parameter calibration: For ``Precision/int8``; the one that comes with this package where nil.
  public static func bundled(
    resize: ResizeMode = defaultResize, precision: Precision = .fp32, calibration: Calibration? = nil
  ) throws(SimilarityError) -> NetworkExtractor {
    try NetworkExtractor(
      named: bundledBackbone, weights: nil, resize: resize, precision: precision, calibration: calibration)
  }

  package static func bundledWeights() throws(SimilarityError) -> WeightsFile {
    var count = 0
    let bytes = unsafe imsim_bundled_efficientnet_lite0(&count)
    return try unsafe WeightsFile(
      bytes: UnsafeRawBufferPointer(start: bytes, count: count), name: "bundled efficientnet-lite0")
  }

  /// The ranges of the bundled network's activations.
  package static func bundledCalibration() throws(SimilarityError) -> Calibration {
    var count = 0
    let bytes = unsafe imsim_bundled_efficientnet_lite0_calibration(&count)
    return try unsafe Calibration(
      MappedFile(bytes: UnsafeRawBufferPointer(start: bytes, count: count), name: "bundled calibration"))
  }
}
