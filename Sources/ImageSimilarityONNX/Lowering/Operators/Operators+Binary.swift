internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let binaryRules: [String: Rule] = [
    "Add": Rule(lower: add),
    "Sub": Rule(lower: subtract),
    "Mul": Rule(lower: multiply),
    "Div": Rule(lower: divide),
    "Pow": Rule(lower: power),
    "PRelu": Rule { lowering, node throws(SimilarityError) in
      let (a, b) = (try lowering.tensor(node, 0), try lowering.tensor(node, 1))
      return [.tensor(try binary(&lowering, .prelu, a, b))]
    },
    "Sum": nary(.add),
    "Max": nary(.maximum),
    "Min": nary(.minimum),
    "Mean": Rule { lowering, node throws(SimilarityError) in
      let sum = try fold(&lowering, .add, node)
      return [.tensor(lowering.network.unary(.affine(scale: 1 / Float(node.node.inputs.count), shift: 0), sum))]
    },
  ]

  /// Two tensors that NumPy's rules broadcast to one shape.
  static func binary(
    _ lowering: inout Lowering, _ f: NetworkBuilder.Binary, _ a: NetworkBuilder.Tensor, _ b: NetworkBuilder.Tensor
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    _ = try TensorLimits.broadcast(a.shape, b.shape)
    return lowering.network.binary(f, a, b)
  }

  private static func fold(
    _ lowering: inout Lowering, _ f: NetworkBuilder.Binary, _ node: OperatorNode
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    var result = try lowering.tensor(node, 0)
    for index in node.node.inputs.indices.dropFirst() {
      result = try binary(&lowering, f, result, try lowering.tensor(node, index))
    }
    return result
  }

  private static func nary(_ f: NetworkBuilder.Binary) -> Rule {
    Rule { lowering, node throws(SimilarityError) in [.tensor(try fold(&lowering, f, node))] }
  }

  private static func general(
    _ lowering: inout Lowering, _ f: NetworkBuilder.Binary, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let (a, b) = (try lowering.tensor(node, 0), try lowering.tensor(node, 1))
    return [.tensor(try binary(&lowering, f, a, b))]
  }

  /// One operand that is a single constant number, and does not make the other's shape longer.
  private static func scalar(
    _ lowering: Lowering, _ node: OperatorNode, _ index: Int
  ) throws(SimilarityError) -> Float? {
    guard case .constant(let tensor) = try lowering.required(node, index), tensor.elementCount == 1,
      tensor.shape.count <= (try lowering.required(node, 1 - index)).shape.count
    else { return nil }
    return try tensor.floats()[0]
  }

  /// A product, and the constant of each of its filters that it is combined with.
  private static func product(
    _ lowering: Lowering, _ node: OperatorNode, _ index: Int
  ) throws(SimilarityError) -> (Product, [Double])? {
    guard case .product(let product) = try lowering.required(node, index),
      case .constant(let tensor) = try lowering.required(node, 1 - index),
      let values = try product.perFilter(tensor)
    else { return nil }
    return (product, values)
  }

  private static func affine(
    _ lowering: inout Lowering, _ node: OperatorNode, _ index: Int, scale: Float, shift: Float
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, index)
    return [.tensor(lowering.network.unary(.affine(scale: scale, shift: shift), x))]
  }

  private static func add(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    for index in 0...1 {
      if let (product, values) = try product(lowering, node, index),
        let fused = product.scaled(by: nil, shiftedBy: values)
      {
        return [.product(fused)]
      }
    }
    // Of two products, the later one takes the other.
    var candidates: [(product: Product, other: Int)] = []
    for index in 0...1 {
      if case .product(let product) = try lowering.required(node, index),
        product.canAdd(try lowering.required(node, 1 - index).shape)
      {
        candidates.append((product, 1 - index))
      }
    }
    if let (product, other) = candidates.max(by: { $0.product.order < $1.product.order }) {
      return [.product(product.adding(try lowering.tensor(node, other)))]
    }
    for index in 0...1 {
      if let value = try scalar(lowering, node, index) {
        return try affine(&lowering, node, 1 - index, scale: 1, shift: value)
      }
    }
    return try general(&lowering, .add, node)
  }

  private static func subtract(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    if let (product, values) = try product(lowering, node, 0),
      let fused = product.scaled(by: nil, shiftedBy: values.map { -$0 })
    {
      return [.product(fused)]
    }
    if let value = try scalar(lowering, node, 1) {
      return try affine(&lowering, node, 0, scale: 1, shift: -value)
    }
    if let value = try scalar(lowering, node, 0) {
      return try affine(&lowering, node, 1, scale: -1, shift: value)
    }
    return try general(&lowering, .subtract, node)
  }

  private static func multiply(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    for index in 0...1 {
      if let (product, values) = try product(lowering, node, index),
        let fused = product.scaled(by: values, shiftedBy: nil)
      {
        return [.product(fused)]
      }
    }
    for index in 0...1 {
      if let value = try scalar(lowering, node, index) {
        return try affine(&lowering, node, 1 - index, scale: value, shift: 0)
      }
    }
    return try general(&lowering, .multiply, node)
  }

  private static func divide(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    if let (product, values) = try product(lowering, node, 0), values.allSatisfy({ $0 != 0 }),
      let fused = product.scaled(by: values.map { 1 / $0 }, shiftedBy: nil)
    {
      return [.product(fused)]
    }
    return try general(&lowering, .divide, node)
  }

  private static func power(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    switch try scalar(lowering, node, 1) {
    case 1: return [try lowering.required(node, 0)]
    case 2: return [.tensor(lowering.network.unary(.square, try lowering.tensor(node, 0)))]
    default: return try general(&lowering, .power, node)
    }
  }
}
