internal import CSimilarityKernels
internal import ImageSimilarityCore

extension NetworkExtractor {
  /// The precisions that are faster than ``Precision/fp32`` here, the fastest last. bf16 needs instructions of its own: widening
  /// its numbers takes as long as fp32's products.
  public static var fasterPrecisions: [Precision] {
    unsafe Kernels.current.convolution.has_bf16 != 0 ? [.bf16, .int8] : [.int8]
  }

  /// Whether `calibration` is what `precision` needs.
  static func check(
    _ precision: Precision, _ calibration: Calibration?, architecture: String, weights: String
  ) throws(SimilarityError) {
    guard precision == .int8 || calibration == nil else {
      throw SimilarityError(.invalidArgument, "a calibration is for the precision int8, not for \(precision.rawValue)")
    }
    if precision == .int8 {
      guard let calibration else {
        throw SimilarityError(
          .invalidArgument,
          "int8 needs a calibration, the ranges of \(architecture)'s activations on pictures like yours: make one with "
            + "'imsim calibrate FOLDER' and give it with --calibration, or call NetworkExtractor.calibration(on:)")
      }
      try calibration.requireNetwork(architecture: architecture, weights: weights)
    }
  }
}
