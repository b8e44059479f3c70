internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let linearRules: [String: Rule] = [
    "Gemm": Rule(lower: gemm),
    "MatMul": Rule(lower: matrixProduct),
  ]

  private static func gemm(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let (alpha, beta) = (try node.float("alpha", default: 1), try node.float("beta", default: 1))
    var a = try lowering.tensor(node, 0)
    let bShape = try lowering.required(node, 1).shape
    guard a.shape.count == 2, bShape.count == 2 else {
      throw malformed("\(a.shape) and \(bShape) are no matrices")
    }
    if try node.flag("transA") { a = lowering.network.transposed(a, [1, 0]) }
    let isTransposed = try node.flag("transB")
    let (depth, features) = isTransposed ? (bShape[1], bShape[0]) : (bShape[0], bShape[1])
    guard depth == a.shape[1] else { throw malformed("\(a.shape) cannot be multiplied by \(bShape)") }
    let shape = try TensorLimits.check([a.shape[0], features])

    var result: Lowering.Value
    if case .constant(let b) = try lowering.required(node, 1) {
      let product = Product(
        name: node.name, kind: .linear, input: a, weightShape: [features, depth],
        weight: isTransposed ? .tensor(b) : .transposed(b), bias: nil, shape: shape, order: lowering.position)
      let factors = alpha == 1 ? nil : [Double](repeating: Double(alpha), count: features)
      guard let scaled = product.scaled(by: factors, shiftedBy: nil) else {
        preconditionFailure("nothing follows a new product")
      }
      if !node.has(2) || beta == 0 { return [.product(scaled)] }
      if case .constant(let c) = try lowering.required(node, 2), let bias = try scaled.perFilter(c),
        let fused = scaled.scaled(by: nil, shiftedBy: bias.map { $0 * Double(beta) })
      {
        return [.product(fused)]
      }
      result = .product(scaled)
    } else {
      var b = try lowering.tensor(node, 1)
      if isTransposed { b = lowering.network.transposed(b, [1, 0]) }
      var product = lowering.network.matrixProduct(a, b)
      if alpha != 1 { product = lowering.network.unary(.affine(scale: alpha, shift: 0), product) }
      if !node.has(2) || beta == 0 { return [.tensor(product)] }
      result = .tensor(product)
    }
    let sum = try lowering.recorded(result, name: node.name)
    var c = try lowering.tensor(node, 2)
    if beta != 1 { c = lowering.network.unary(.affine(scale: beta, shift: 0), c) }
    guard try TensorLimits.broadcast(c.shape, shape) == shape else {
      throw malformed("\(c.shape) cannot be added to \(shape)")
    }
    result = .tensor(lowering.network.binary(.add, sum, c))
    return [result]
  }

  private static func matrixProduct(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    if case .constant(let b) = try lowering.required(node, 1), b.shape.count == 2 {
      let a = try lowering.tensor(node, 0)
      if a.shape.count >= 2 {
        return [.product(try linear(lowering, node, a, b.shape, .transposed(b)))]
      }
    }
    let (a, b) = (try lowering.tensor(node, 0), try lowering.tensor(node, 1))
    return [.tensor(try matrixProduct(&lowering, a, b))]
  }

  /// - Parameters:
  ///   - shape: of the matrix that `a` is multiplied by, before it is transposed.
  ///   - weight: that matrix, transposed.
  static func linear(
    _ lowering: Lowering, _ node: OperatorNode, _ a: NetworkBuilder.Tensor, _ shape: [Int],
    _ weight: LoweredWeights.Source
  ) throws(SimilarityError) -> Product {
    guard a.shape.last == shape[0] else { throw malformed("\(a.shape) cannot be multiplied by \(shape)") }
    _ = try TensorLimits.check(shape)
    return Product(
      name: node.name, kind: .linear, input: a, weightShape: [shape[1], shape[0]], weight: weight, bias: nil,
      shape: try TensorLimits.check(a.shape.dropLast() + [shape[1]]), order: lowering.position)
  }

  /// NumPy's `matmul`: a vector is a row on the left, a column on the right.
  static func matrixProduct(
    _ lowering: inout Lowering, _ a: NetworkBuilder.Tensor, _ b: NetworkBuilder.Tensor
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    guard let columns = a.shape.last, !b.shape.isEmpty else { throw malformed("a number is no matrix") }
    let left = a.shape.count == 1 ? lowering.network.reshaped(a, to: [1, columns]) : a
    let right = b.shape.count == 1 ? lowering.network.reshaped(b, to: [b.shape[0], 1]) : b
    let (rank, other) = (left.shape.count, right.shape.count)
    guard left.shape[rank - 1] == right.shape[other - 2] else {
      throw malformed("\(a.shape) cannot be multiplied by \(b.shape)")
    }
    let leading = try TensorLimits.broadcast(Array(left.shape.dropLast(2)), Array(right.shape.dropLast(2)))
    _ = try TensorLimits.check(leading + [left.shape[rank - 2], right.shape[other - 1]])
    let product = lowering.network.matrixProduct(left, right)
    var shape = leading
    if a.shape.count > 1 { shape.append(left.shape[rank - 2]) }
    if b.shape.count > 1 { shape.append(right.shape[other - 1]) }
    return shape == product.shape ? product : lowering.network.reshaped(product, to: shape)
  }
}
