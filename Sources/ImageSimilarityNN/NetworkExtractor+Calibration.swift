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
    var bounds: [String: (low: Float, high: Float)] = [:]
    let count = images.count
    var embeddings = [Float](repeating: 0, count: count * dimension)
    images.withPixels { pixels in
      var span = embeddings.mutableSpan
      plan.run(pixels: pixels, count: count, workspace: makeWorkspace(), embeddings: &span) { layer, low, high in
        let known = bounds[layer] ?? (low, high)
        bounds[layer] = (min(known.low, low), max(known.high, high))
      }
    }
    for (layer, (low, high)) in bounds {
      guard low.isFinite, high.isFinite else {
        throw SimilarityError(
          .weightsMismatch, "the activations of '\(layer)' reach from \(low) to \(high); expected finite numbers")
      }
      let range = ActivationRange(low: low, high: high)
      ranges[layer, default: range].formUnion(range)
    }
  }
}
