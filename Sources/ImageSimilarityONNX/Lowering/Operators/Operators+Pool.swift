internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let poolRules: [String: Rule] = [
    "MaxPool": Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      let spatial = Array(x.shape.dropFirst(2))
      let attributes = try WindowAttributes(node, kernel: nil, over: spatial)
      _ = try TensorLimits.check(x.shape.prefix(2) + attributes.outputSize)
      if spatial.count == 2, x.shape[0] == 1 {
        return [.tensor(lowering.network.maxPool(x, attributes.window(over: spatial)))]
      }
      return [.tensor(pool(&lowering, x, .max, attributes))]
    },
    "AveragePool": Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      let spatial = Array(x.shape.dropFirst(2))
      let attributes = try WindowAttributes(node, kernel: nil, over: spatial)
      _ = try TensorLimits.check(x.shape.prefix(2) + attributes.outputSize)
      if attributes.isGlobal(over: spatial) { return [.tensor(globalAverage(&lowering, x))] }
      // Networks that adapt their maps to a size have pools of one pixel where that is the map's size already.
      if attributes.isIdentity(over: spatial) { return [.tensor(x)] }
      let kind = NetworkBuilder.PoolKind.average(countsPadding: try node.flag("count_include_pad"))
      return [.tensor(pool(&lowering, x, kind, attributes))]
    },
    "GlobalAveragePool": Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      guard x.shape.count > 2 else { throw malformed("its input has the shape \(x.shape)") }
      return [.tensor(globalAverage(&lowering, x))]
    },
    "GlobalMaxPool": Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      guard x.shape.count > 2 else { throw malformed("its input has the shape \(x.shape)") }
      return [.tensor(lowering.network.reduce(.max, x, axes: Array(2..<x.shape.count), keepsAxes: true))]
    },
    "LRN": Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      let size = try node.integer("size", default: 0)
      guard size > 0, size <= TensorLimits.window, x.shape.count > 1 else {
        throw malformed("\(size) channels are none of a tensor of shape \(x.shape)")
      }
      return [
        .tensor(
          lowering.network.localResponseNormalization(
            x, size: size, alpha: try node.float("alpha", default: 1e-4), beta: try node.float("beta", default: 0.75),
            bias: try node.float("bias", default: 1)))
      ]
    },
  ]

  private static func pool(
    _ lowering: inout Lowering, _ x: NetworkBuilder.Tensor, _ kind: NetworkBuilder.PoolKind,
    _ attributes: WindowAttributes
  ) -> NetworkBuilder.Tensor {
    lowering.network.pool(
      x, kind, kernel: attributes.kernel, stride: attributes.stride, dilation: attributes.dilation,
      padBefore: attributes.padBefore, padAfter: attributes.padAfter, outputSize: attributes.outputSize)
  }

  /// The mean over all spatial axes, which stay, of one element.
  static func globalAverage(_ lowering: inout Lowering, _ x: NetworkBuilder.Tensor) -> NetworkBuilder.Tensor {
    if x.shape.count == 4, x.shape[0] == 1 { return lowering.network.globalAveragePool(x) }
    return lowering.network.reduce(.mean, x, axes: Array(2..<x.shape.count), keepsAxes: true)
  }
}
