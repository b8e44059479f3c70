internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let unaryRules: [String: Rule] = [
    "Abs": unary { _ in .abs },
    "Ceil": unary { _ in .ceil },
    "Celu": unary { node throws(SimilarityError) in .celu(alpha: try node.float("alpha", default: 1)) },
    "Elu": unary { node throws(SimilarityError) in .elu(alpha: try node.float("alpha", default: 1)) },
    "Erf": unary { _ in .erf },
    "Exp": unary { _ in .exp },
    "Floor": unary { _ in .floor },
    "Gelu": unary(gelu),
    "com.microsoft::Gelu": unary { _ in .gelu },
    "com.microsoft::FastGelu": unary { node throws(SimilarityError) in
      guard !node.has(1) else { throw unsupported("it has a bias") }
      return .geluTanh
    },
    "HardSigmoid": unary { node throws(SimilarityError) in
      .hardSigmoid(alpha: try node.float("alpha", default: 0.2), beta: try node.float("beta", default: 0.5))
    },
    "HardSwish": unary { _ in .hardSwish },
    "LeakyRelu": unary { node throws(SimilarityError) in .leakyRelu(slope: try node.float("alpha", default: 0.01)) },
    "Log": unary { _ in .log },
    "Mish": unary { _ in .mish },
    "Neg": unary { _ in .neg },
    "Reciprocal": unary { _ in .reciprocal },
    "Round": unary { _ in .round },
    "Selu": unary { node throws(SimilarityError) in
      // The constants of Klambauer et al., "Self-normalizing neural networks", 2017, as the specification rounds them.
      .selu(
        alpha: try node.float("alpha", default: 1.67326319217681884765625),
        gamma: try node.float("gamma", default: 1.05070102214813232421875))
    },
    "Sigmoid": unary { _ in .sigmoid },
    "Sign": unary { _ in .sign },
    "Softplus": unary { _ in .softplus },
    "Softsign": unary { _ in .softsign },
    "Sqrt": unary { _ in .sqrt },
    "Swish": Rule(lower: swish),
    "Tanh": unary { _ in .tanh },
    "ThresholdedRelu": unary { node throws(SimilarityError) in
      .thresholdedRelu(alpha: try node.float("alpha", default: 1))
    },
    "Relu": Rule { lowering, node throws(SimilarityError) in
      [try activated(&lowering, node, low: 0, high: .infinity)]
    },
    "Clip": Rule(constants: [1, 2], lower: clip),
    "Identity": Rule { lowering, node throws(SimilarityError) in [try lowering.required(node, 0)] },
    "Cast": Rule(lower: cast),
    "CastLike": Rule { lowering, node throws(SimilarityError) in [try lowering.required(node, 0)] },
    "Dropout": Rule(constants: [1, 2], lower: dropout),
  ]

  private static func unary(
    _ function: @escaping @Sendable (OperatorNode) throws(SimilarityError) -> NetworkBuilder.Unary
  ) -> Rule {
    Rule { lowering, node throws(SimilarityError) in
      let f = try function(node)
      let x = try lowering.tensor(node, 0)
      return [.tensor(lowering.network.unary(f, x))]
    }
  }

  private static func gelu(_ node: OperatorNode) throws(SimilarityError) -> NetworkBuilder.Unary {
    switch try node.string("approximate", default: "none") {
    case "none": return .gelu
    case "tanh": return .geluTanh
    case let name: throw malformed("there is no approximation '\(name)'")
    }
  }

  private static func swish(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let alpha = try node.float("alpha", default: 1)
    let x = try lowering.tensor(node, 0)
    if alpha == 1 { return [.tensor(lowering.network.unary(.silu, x))] }
    let gate = lowering.network.unary(.sigmoid, lowering.network.unary(.affine(scale: alpha, shift: 0), x))
    return [.tensor(lowering.network.binary(.multiply, x, gate))]
  }

  /// Clamps the first input; a product does that itself.
  static func activated(
    _ lowering: inout Lowering, _ node: OperatorNode, low: Float, high: Float
  ) throws(SimilarityError) -> Lowering.Value {
    guard low <= high else { throw unsupported("its limits are \(low) and \(high)") }
    let activation: NetworkBuilder.Activation =
      switch (low, high) {
      case (0, .infinity): .relu
      case (0, 6): .relu6
      default: .clamp(low: low, high: high)
      }
    if case .product(let product) = try lowering.required(node, 0), let fused = product.activated(activation) {
      return .product(fused)
    }
    let x = try lowering.tensor(node, 0)
    return .tensor(lowering.network.unary(.clamp(low, high), x))
  }

  private static func clip(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    // Limits are attributes before opset 11.
    let low = try lowering.scalar(node, 1, or: "min") ?? -.infinity
    let high = try lowering.scalar(node, 2, or: "max") ?? .infinity
    if low == -.infinity, high == .infinity { return [try lowering.required(node, 0)] }
    // Where they contradict each other, the upper one counts.
    return [try activated(&lowering, node, low: min(low, high), high: high)]
  }

  /// Everything is computed in single precision: only what loses the fraction changes numbers.
  private static func cast(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let code = try node.integer("to", default: 0)
    guard let type = Int32(exactly: code).flatMap(ONNXElementType.init(rawValue:)) else {
      throw unsupported("there is no type \(code) here")
    }
    if type.isFloatingPoint { return [try lowering.required(node, 0)] }
    guard type.isInteger, type != .bool else { throw unsupported("it makes numbers of type \(type)") }
    let x = try lowering.tensor(node, 0)
    return [.tensor(lowering.network.unary(.truncate, x))]
  }

  private static func dropout(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let ratio = try lowering.scalar(node, 1, or: "ratio") ?? 0.5
    if node.has(2), try lowering.constant(node, 2).integers() != [0], ratio != 0 {
      throw unsupported("it is in training mode")
    }
    let x = try lowering.required(node, 0)
    let count = try TensorLimits.check(x.shape).reduce(1, *)
    guard node.node.outputs.count > 1 else { return [x] }
    let mask = ONNXTensor(shape: x.shape, integers: [Int64](repeating: 1, count: count), elementType: .bool)
    return [x, .constant(mask)]
  }
}
