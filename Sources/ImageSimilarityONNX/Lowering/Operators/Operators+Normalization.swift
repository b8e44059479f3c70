internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let normalizationRules: [String: Rule] = [
    "BatchNormalization": Rule(constants: [1, 2, 3, 4], lower: batchNormalization),
    "InstanceNormalization": Rule(lower: instanceNormalization),
    "GroupNormalization": Rule(lower: groupNormalization),
    "LayerNormalization": Rule(lower: layerNormalization),
    "LpNormalization": Rule(lower: powerNormalization),
    "MeanVarianceNormalization": Rule(lower: meanVarianceNormalization),
  ]

  private static func batchNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    if try node.flag("training_mode") { throw unsupported("it is in training mode") }
    guard try node.flag("spatial", default: true) else { throw unsupported("its statistics are not of whole channels") }
    guard let scale = try lowering.floats(node, 1), let shift = try lowering.floats(node, 2),
      let mean = try lowering.floats(node, 3), let variance = try lowering.floats(node, 4)
    else { throw malformed("scale, shift, mean or variance are missing") }
    let epsilon = Double(try node.float("epsilon", default: 1e-5))
    let x = try lowering.required(node, 0)
    guard x.shape.count >= 2, [scale, shift, mean, variance].allSatisfy({ $0.count == x.shape[1] }) else {
      throw malformed("its statistics are of \(scale.count) channels, and its input has the shape \(x.shape)")
    }
    let factors = zip(scale, variance).map { Double($0) / (Double($1) + epsilon).squareRoot() }
    guard factors.allSatisfy(\.isFinite) else { throw malformed("its variance is not positive") }
    let shifts = factors.indices.map { Double(shift[$0]) - Double(mean[$0]) * factors[$0] }

    if case .product(let product) = x, !product.isLinear || product.shape.count == 2,
      let fused = product.scaled(by: factors, shiftedBy: shifts)
    {
      return [.product(fused)]
    }
    let tensor = try lowering.tensor(node, 0)
    let channels = factors.count
    let values = factors.map { Float($0) }
    if tensor.shape.count == 4 {
      // A convolution with one filter of one pixel for each channel, which takes the activation after it.
      return [
        .product(
          Product(
            name: node.name, kind: .convolution(.init(kernel: .init(1)), groups: channels), input: tensor,
            weightShape: [channels, 1, 1, 1], weight: .values(values), bias: shifts.map { Float($0) },
            shape: tensor.shape, order: lowering.position))
      ]
    }
    return [.tensor(try affine(&lowering, node, tensor, axis: 1, values, shifts.map { Float($0) }))]
  }

  /// A factor and a shift for each index of an axis.
  private static func affine(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, axis: Int, _ factors: [Float],
    _ shifts: [Float]
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let shape = [factors.count] + [Int](repeating: 1, count: x.shape.count - axis - 1)
    let scaled = try binary(
      &lowering, .multiply, x, lowering.constant("\(node.name)[scale]", shape: shape, factors))
    return try binary(&lowering, .add, scaled, lowering.constant("\(node.name)[shift]", shape: shape, shifts))
  }

  /// Multiplies by one input of the node and adds another; each has a number for each channel.
  private static func perChannel(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let shape = [x.shape[1]] + [Int](repeating: 1, count: x.shape.count - 2)
    var parts: [NetworkBuilder.Tensor] = []
    for index in 1...2 {
      let part = try lowering.tensor(node, index)
      guard part.count == x.shape[1] else {
        throw malformed("its input \(index + 1) has the shape \(part.shape), for \(x.shape[1]) channels")
      }
      parts.append(lowering.network.reshaped(part, to: shape))
    }
    return lowering.network.binary(.add, lowering.network.binary(.multiply, x, parts[0]), parts[1])
  }

  /// Of each of `groups` groups of neighbouring channels, mean 0 and variance 1.
  private static func normalized(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, groups: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    guard x.shape.count >= 3, groups > 0, x.shape[1] % groups == 0 else {
      throw malformed("\(groups) groups of channels are none of a tensor of shape \(x.shape)")
    }
    let rows = lowering.network.reshaped(x, to: [x.shape[0], groups, x.count / (x.shape[0] * groups)])
    let result = lowering.network.layerNormalization(
      rows, axis: 2, epsilon: try node.float("epsilon", default: 1e-5), scale: nil, bias: nil)
    return lowering.network.reshaped(result, to: x.shape)
  }

  private static func instanceNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    guard x.shape.count >= 3 else { throw malformed("its input has the shape \(x.shape)") }
    let result = try normalized(&lowering, node, x, groups: x.shape[1])
    return [.tensor(try perChannel(&lowering, node, result))]
  }

  private static func groupNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let groups = try node.integer("num_groups", default: 0)
    let result = try normalized(&lowering, node, x, groups: groups)
    if node.opset >= 21 { return [.tensor(try perChannel(&lowering, node, result))] }
    // Before, scale and shift were of groups.
    let apart = lowering.network.reshaped(
      result, to: [x.shape[0], groups, x.count / (x.shape[0] * groups)])
    return [.tensor(lowering.network.reshaped(try perChannel(&lowering, node, apart), to: x.shape))]
  }

  private static func layerNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axis = try axis(node.integer("axis", default: -1), rank: x.shape.count)
    let epsilon = try node.float("epsilon", default: 1e-5)
    let shape = Array(x.shape[axis...])
    var affine: [NetworkBuilder.Tensor?] = []
    for index in 1...2 {
      guard node.has(index) else {
        affine.append(nil)
        continue
      }
      let tensor = try lowering.tensor(node, index)
      guard try TensorLimits.broadcast(tensor.shape, shape) == shape else {
        throw malformed("its input \(index + 1) has the shape \(tensor.shape), and normalises axes of \(shape)")
      }
      affine.append(lowering.network.broadcast(tensor, to: shape))
    }
    let result = lowering.network.layerNormalization(x, axis: axis, epsilon: epsilon, scale: affine[0], bias: affine[1])
    guard node.node.outputs.count > 1 else { return [.tensor(result)] }

    let axes = Array(axis..<x.shape.count)
    let mean = lowering.network.reduce(.mean, x, axes: axes, keepsAxes: true)
    let centred = lowering.network.binary(.subtract, x, mean)
    let variance = lowering.network.reduce(
      .mean, lowering.network.unary(.square, centred), axes: axes, keepsAxes: true)
    let deviation = lowering.network.unary(
      .sqrt, lowering.network.unary(.affine(scale: 1, shift: epsilon), variance))
    return [.tensor(result), .tensor(mean), .tensor(lowering.network.unary(.reciprocal, deviation))]
  }

  private static func powerNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axis = try axis(node.integer("axis", default: -1), rank: x.shape.count)
    let power = try node.integer("p", default: 2)
    guard power == 1 || power == 2 else { throw malformed("there is no norm of order \(power)") }
    var norm = lowering.network.reduce(power == 1 ? .sumOfAbs : .sumOfSquares, x, axes: [axis], keepsAxes: true)
    if power == 2 { norm = lowering.network.unary(.sqrt, norm) }
    return [.tensor(lowering.network.binary(.divide, x, norm))]
  }

  private static func meanVarianceNormalization(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axes = try axes(node.integers("axes") ?? [0, 2, 3], rank: x.shape.count)
    let mean = lowering.network.reduce(.mean, x, axes: axes, keepsAxes: true)
    let centred = lowering.network.binary(.subtract, x, mean)
    let variance = lowering.network.reduce(
      .mean, lowering.network.unary(.square, centred), axes: axes, keepsAxes: true)
    let deviation = lowering.network.unary(
      .affine(scale: 1, shift: 1e-9), lowering.network.unary(.sqrt, variance))
    return [.tensor(lowering.network.binary(.divide, centred, deviation))]
  }
}
