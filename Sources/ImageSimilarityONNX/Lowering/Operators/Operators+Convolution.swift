internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let convolutionRules: [String: Rule] = [
    "Conv": Rule(constants: [1, 2]) { lowering, node throws(SimilarityError) in
      let weight = try lowering.constant(node, 1)
      let bias = try lowering.floats(node, 2)
      let x = try lowering.tensor(node, 0)
      return [.product(try convolution(&lowering, node, x, weight.shape, .tensor(weight), bias: bias))]
    }
  ]

  /// A convolution over rows of pixels or maps.
  static func convolution(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ weightShape: [Int],
    _ weight: LoweredWeights.Source, bias: [Float]?
  ) throws(SimilarityError) -> Product {
    let rank = x.shape.count - 2
    guard rank == 1 || rank == 2 else {
      throw unsupported("its input has the shape \(x.shape); expected one or two spatial axes")
    }
    guard weightShape.count == rank + 2 else {
      throw malformed("weights of shape \(weightShape) are none for an input of shape \(x.shape)")
    }
    _ = try TensorLimits.check(weightShape)
    let (channels, filters) = (x.shape[1], weightShape[0])
    let groups = try node.integer("group", default: 1)
    guard groups > 0, channels % groups == 0, filters % groups == 0, weightShape[1] == channels / groups else {
      throw malformed(
        "weights of shape \(weightShape) in \(groups) groups are none for \(channels) channels")
    }
    if let bias, bias.count != filters { throw malformed("it has \(filters) filters, and a bias of \(bias.count)") }

    let spatial = Array(x.shape[2...])
    let attributes = try WindowAttributes(node, kernel: Array(weightShape[2...]), over: spatial)
    let shape = try TensorLimits.check([x.shape[0], filters] + attributes.outputSize)
    _ = try TensorLimits.check(
      [x.shape[0], channels] + spatial.indices.map { spatial[$0] + attributes.padBefore[$0] + attributes.padAfter[$0] })
    var (map, mapWeights) = (x, weightShape)
    if rank == 1 {
      map = lowering.network.reshaped(x, to: [x.shape[0], channels, 1, spatial[0]])
      mapWeights.insert(1, at: 2)
    }
    return Product(
      name: node.name,
      kind: .convolution(attributes.ofMap().window(over: [map.shape[2], map.shape[3]]), groups: groups), input: map,
      weightShape: mapWeights, weight: weight, bias: bias, shape: shape, order: lowering.position)
  }
}
