internal import CSimilarityKernels
internal import ImageSimilarityCore

extension NetworkExtractor {
  /// The precisions whose products the kernels here leave to instructions of their own, fastest last. The others give the same
  /// embeddings but for rounding, and take longer than ``Precision/fp32``.
  public static var acceleratedPrecisions: [Precision] {
    let kernels = unsafe Kernels.current.convolution
    return Precision.allCases.filter { precision in
      switch precision {
      case .fp32: true
      case .bf16: unsafe kernels.has_bf16 != 0
      case .int8: unsafe kernels.has_int8 != 0
      }
    }
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
