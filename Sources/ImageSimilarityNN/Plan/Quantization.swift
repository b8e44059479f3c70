internal import ImageSimilarityCore

/// What the stored bytes of a quantised tensor mean: `value = scale * (q - zero)`, `0 <= q <= 255`.
struct Quantization: Sendable, Hashable {
  var scale: Float
  var zero: Int

  /// Covers `range` and zero, which is represented exactly: padding is made of it.
  init(covering range: ActivationRange) {
    let low = min(range.low, 0)
    let high = max(range.high, 0)
    // Each by itself, since their difference may be infinite. A tensor of zeros, or nearly, gets any scale.
    let step = high / 255 - low / 255
    scale = step >= .leastNormalMagnitude ? step : 1
    zero = Int((-low / scale).rounded(.toNearestOrEven))
  }
}

extension Quantization {
  /// The quantisation of every tensor of a network.
  ///
  /// Tensors that share bytes share it: a concatenation with its parts, a maximum pool's result with its input.
  static func assign(
    nodes: [NetworkBuilder.Node], calibration: Calibration
  ) throws(SimilarityError) -> [NetworkBuilder.Value: Quantization] {
    var representative: [NetworkBuilder.Value: NetworkBuilder.Value] = [:]
    func find(_ value: NetworkBuilder.Value) -> NetworkBuilder.Value {
      var value = value
      while let next = representative[value] { value = next }
      return value
    }
    for node in nodes {
      switch node.layer {
      case .maxPool, .concatenate:
        for input in node.inputs where find(input) != find(node.output) {
          representative[find(input)] = find(node.output)
        }
      case .convolution, .globalAveragePool, .linear, .tensor, .argument:
        break
      }
    }

    var ranges: [NetworkBuilder.Value: ActivationRange] = [:]
    for node in nodes {
      guard case .convolution(let layer) = node.layer else { continue }
      guard let range = calibration.ranges[layer.name] else {
        throw SimilarityError(
          .invalidArgument, "the calibration has no range for the layer '\(layer.name)'; calibrate the network anew")
      }
      let root = find(node.output)
      ranges[root] =
        ranges[root].map { known in
          var both = known
          both.formUnion(range)
          return both
        } ?? range
    }
    var quantizations: [NetworkBuilder.Value: Quantization] = [:]
    for node in nodes {
      quantizations[node.output] = ranges[find(node.output)].map(Quantization.init(covering:))
    }
    return quantizations
  }
}
