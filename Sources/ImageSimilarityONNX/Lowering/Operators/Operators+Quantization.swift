internal import ImageSimilarityCore
internal import ImageSimilarityNN

/// Quantised operators in single precision: a tensor of 8-bit numbers is one of floats that are whole numbers. Sums of products are
/// exact up to 2^24.
extension Operators {
  static let quantizationRules: [String: Rule] = [
    "QuantizeLinear": Rule(constants: [1, 2]) { lowering, node throws(SimilarityError) in
      let scale = try Scale(lowering, node, scale: 1, zero: 2)
      let x = try lowering.tensor(node, 0)
      return [.tensor(try quantized(&lowering, node, x, scale))]
    },
    "DequantizeLinear": Rule(constants: [1, 2]) { lowering, node throws(SimilarityError) in
      let scale = try Scale(lowering, node, scale: 1, zero: 2)
      let x = try lowering.tensor(node, 0)
      return [.tensor(try dequantized(&lowering, node, x, scale))]
    },
    "DynamicQuantizeLinear": Rule(lower: dynamicallyQuantized),
    "QLinearConv": Rule(constants: [1, 2, 3, 4, 5, 6, 7, 8], lower: convolution),
    "ConvInteger": Rule(constants: [1, 2, 3], lower: integerConvolution),
    "QLinearMatMul": Rule(constants: [1, 2, 4, 5, 6, 7], lower: matrixProduct),
    "MatMulInteger": Rule(constants: [2, 3], lower: integerMatrixProduct),
    "com.microsoft::QGemm": Rule(constants: [1, 2, 3, 4, 5, 6, 7, 8], lower: gemm),
    "com.microsoft::QLinearAdd": Rule(constants: [1, 2, 4, 5, 6, 7]) { lowering, node throws(SimilarityError) in
      [try combined(&lowering, node, .add)]
    },
    "com.microsoft::QLinearMul": Rule(constants: [1, 2, 4, 5, 6, 7]) { lowering, node throws(SimilarityError) in
      [try combined(&lowering, node, .multiply)]
    },
    "com.microsoft::QLinearConcat": Rule(constants: concatenationConstants, lower: concatenation),
    "com.microsoft::QLinearGlobalAveragePool": Rule(constants: [1, 2, 3, 4], lower: globalAveragePool),
  ]

  /// Real numbers are `(q - zero) * scale`, with numbers for all elements or for each index of an axis.
  private struct Scale {
    var scale: [Float]
    var zero: [Float]
    var low: Float
    var high: Float

    init(_ lowering: Lowering, _ node: OperatorNode, scale: Int, zero: Int) throws(SimilarityError) {
      guard let values = try lowering.floats(node, scale), !values.isEmpty else { throw malformed("it has no scale") }
      guard try lowering.constant(node, scale).shape.count <= 1 else { throw unsupported("its scales are of blocks") }
      guard values.allSatisfy({ $0 > 0 && $0.isFinite }) else { throw malformed("a scale is not positive") }
      self.scale = values
      let zeros = try Operators.zeros(lowering, node, zero) ?? [0]
      guard zeros.count == 1 || zeros.count == values.count else {
        throw malformed("it has \(values.count) scales and \(zeros.count) zeros")
      }
      self.zero = zeros.count == values.count ? zeros : [Float](repeating: zeros[0], count: values.count)
      let type = node.has(zero) ? try lowering.constant(node, zero).elementType : .uint8
      guard let range = type.integerRange, let size = type.byteCount, size <= 2 else {
        throw unsupported("it quantises to numbers of type \(type)")
      }
      (low, high) = (Float(range.lowerBound), Float(range.upperBound))
    }
  }

  private static func zeros(
    _ lowering: Lowering, _ node: OperatorNode, _ index: Int
  ) throws(SimilarityError) -> [Float]? {
    try lowering.floats(node, index)
  }

  /// The shape of a constant with a number for each index of an axis.
  private static func shape(_ count: Int, axis: Int, of x: NetworkBuilder.Tensor) throws(SimilarityError) -> [Int] {
    guard count > 1 else { return [] }
    guard axis < x.shape.count, x.shape[axis] == count else {
      throw malformed("it has \(count) scales for axis \(axis) of a tensor of shape \(x.shape)")
    }
    return [count] + [Int](repeating: 1, count: x.shape.count - axis - 1)
  }

  private static func scaleAxis(
    _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ scale: Scale
  ) throws(SimilarityError) -> Int {
    scale.scale.count == 1 ? 0 : try axis(node.integer("axis", default: 1), rank: x.shape.count)
  }

  private static func shifted(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, by shifts: [Float], axis: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    if shifts.allSatisfy({ $0 == 0 }) { return x }
    if Set(shifts).count == 1 { return lowering.network.unary(.affine(scale: 1, shift: shifts[0]), x) }
    let shape = try shape(shifts.count, axis: axis, of: x)
    return try binary(&lowering, .add, x, lowering.constant("\(node.name)[zero]", shape: shape, shifts))
  }

  private static func quantized(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ scale: Scale
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let axis = try scaleAxis(node, x, scale)
    let shape = try shape(scale.scale.count, axis: axis, of: x)
    // A division, not a product with the reciprocal: which way halves are rounded depends on it.
    let quotient = try binary(
      &lowering, .divide, x, lowering.constant("\(node.name)[scale]", shape: shape, scale.scale))
    return try rounded(&lowering, node, quotient, scale, axis: axis)
  }

  /// To whole numbers, then to the zero point and the range.
  private static func rounded(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ scale: Scale, axis: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let whole = lowering.network.unary(.round, x)
    let shifted = try shifted(&lowering, node, whole, by: scale.zero, axis: axis)
    return lowering.network.unary(.clamp(scale.low, scale.high), shifted)
  }

  private static func dequantized(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ scale: Scale
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let axis = try scaleAxis(node, x, scale)
    let difference = try shifted(&lowering, node, x, by: scale.zero.map { -$0 }, axis: axis)
    if scale.scale.count == 1 { return lowering.network.unary(.affine(scale: scale.scale[0], shift: 0), difference) }
    let shape = try shape(scale.scale.count, axis: axis, of: x)
    return try binary(
      &lowering, .multiply, difference, lowering.constant("\(node.name)[scale]", shape: shape, scale.scale))
  }

  /// Weights without their zero points, of which there is one, or one for each index of an axis.
  private static func weights(
    _ lowering: Lowering, _ node: OperatorNode, _ index: Int, zero: Int, axis: Int
  ) throws(SimilarityError) -> ONNXTensor {
    let tensor = try lowering.constant(node, index)
    var values = try tensor.floats()
    guard let zeros = try zeros(lowering, node, zero), zeros.contains(where: { $0 != 0 }) else { return tensor }
    let size = tensor.shape.indices.contains(axis) ? tensor.shape[axis] : 1
    guard zeros.count == 1 || zeros.count == size else {
      throw malformed("it has \(zeros.count) zeros for weights of shape \(tensor.shape)")
    }
    let inner = zeros.count == 1 ? 1 : tensor.shape[(axis + 1)...].reduce(1, *)
    for place in values.indices { values[place] -= zeros[zeros.count == 1 ? 0 : place / inner % size] }
    return ONNXTensor(shape: tensor.shape, floats: values)
  }

  /// An input of whole numbers without its zero point.
  private static func centred(
    _ lowering: inout Lowering, _ node: OperatorNode, _ index: Int, zero: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let x = try lowering.tensor(node, index)
    let zeros = try zeros(lowering, node, zero) ?? [0]
    guard zeros.count == 1 else { throw unsupported("its input \(index + 1) has \(zeros.count) zeros") }
    return try shifted(&lowering, node, x, by: [-zeros[0]], axis: 0)
  }

  // MARK: Convolutions

  private static func convolution(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let (input, output) = (
      try Scale(lowering, node, scale: 1, zero: 2), try Scale(lowering, node, scale: 6, zero: 7)
    )
    let filters = try Scale(lowering, node, scale: 4, zero: 5)
    let bias = try lowering.floats(node, 8)
    let sums = try sums(&lowering, node, weights: 3, zero: 5, input: 0, inputZero: 2, bias: bias)
    return [.tensor(try requantized(&lowering, node, sums, input, filters, output, axis: 1))]
  }

  private static func integerConvolution(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    [.tensor(try sums(&lowering, node, weights: 1, zero: 3, input: 0, inputZero: 2, bias: nil))]
  }

  private static func sums(
    _ lowering: inout Lowering, _ node: OperatorNode, weights index: Int, zero: Int, input: Int, inputZero: Int,
    bias: [Float]?
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let weight = try weights(lowering, node, index, zero: zero, axis: 0)
    let x = try centred(&lowering, node, input, zero: inputZero)
    let product = try convolution(&lowering, node, x, weight.shape, .tensor(weight), bias: bias)
    return try lowering.recorded(.product(product), name: node.name)
  }

  /// Sums of products in the scale of the result.
  private static func requantized(
    _ lowering: inout Lowering, _ node: OperatorNode, _ sums: NetworkBuilder.Tensor, _ a: Scale, _ b: Scale,
    _ result: Scale, axis: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    guard a.scale.count == 1, result.scale.count == 1 else { throw unsupported("activations have several scales") }
    let factors = b.scale.map { a.scale[0] * $0 / result.scale[0] }
    let scaled: NetworkBuilder.Tensor
    if factors.count == 1 {
      scaled = lowering.network.unary(.affine(scale: factors[0], shift: 0), sums)
    } else {
      let shape = try shape(factors.count, axis: axis, of: sums)
      scaled = try binary(
        &lowering, .multiply, sums, lowering.constant("\(node.name)[scale]", shape: shape, factors))
    }
    return try rounded(&lowering, node, scaled, result, axis: 0)
  }

  // MARK: Matrices

  private static func product(
    _ lowering: inout Lowering, _ node: OperatorNode, left: Int, leftZero: Int, right: Int, rightZero: Int
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let a = try centred(&lowering, node, left, zero: leftZero)
    guard case .constant(let b) = try lowering.required(node, right), b.shape.count == 2, a.shape.count >= 2 else {
      return try matrixProduct(&lowering, a, try centred(&lowering, node, right, zero: rightZero))
    }
    let weight = try weights(lowering, node, right, zero: rightZero, axis: 1)
    let product = try linear(lowering, node, a, weight.shape, .transposed(weight))
    return try lowering.recorded(.product(product), name: node.name)
  }

  private static func matrixProduct(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let (a, b) = (try Scale(lowering, node, scale: 1, zero: 2), try Scale(lowering, node, scale: 4, zero: 5))
    let result = try Scale(lowering, node, scale: 6, zero: 7)
    let sums = try product(&lowering, node, left: 0, leftZero: 2, right: 3, rightZero: 5)
    return [.tensor(try requantized(&lowering, node, sums, a, b, result, axis: sums.shape.count - 1))]
  }

  private static func integerMatrixProduct(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    [.tensor(try product(&lowering, node, left: 0, leftZero: 2, right: 1, rightZero: 3))]
  }

  private static func gemm(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let (a, b) = (try Scale(lowering, node, scale: 1, zero: 2), try Scale(lowering, node, scale: 4, zero: 5))
    guard !(try node.flag("transA")), try node.float("alpha", default: 1) == 1 else {
      throw unsupported("its first matrix is transposed, or its 'alpha' is not 1")
    }
    let isTransposed = try node.flag("transB")
    let weight = try weights(lowering, node, 3, zero: 5, axis: isTransposed ? 0 : 1)
    guard weight.shape.count == 2 else { throw malformed("its weights have the shape \(weight.shape)") }
    let shape = isTransposed ? weight.shape.reversed() : weight.shape
    let x = try centred(&lowering, node, 0, zero: 2)
    var product = try linear(lowering, node, x, shape, isTransposed ? .tensor(weight) : .transposed(weight))
    if node.has(6) {
      guard let bias = try product.perFilter(try lowering.constant(node, 6)),
        let fused = product.scaled(by: nil, shiftedBy: bias)
      else { throw unsupported("its bias is not of columns") }
      product = fused
    }
    guard node.has(7) else {
      // Without a scale, the result is of real numbers.
      let factors = b.scale.map { Double(a.scale[0]) * Double($0) }
      let all = factors.count == 1 ? [Double](repeating: factors[0], count: product.filters) : factors
      guard all.count == product.filters, let scaled = product.scaled(by: all, shiftedBy: nil) else {
        throw malformed("it has \(factors.count) scales for \(product.filters) columns")
      }
      return [.product(scaled)]
    }
    let result = try Scale(lowering, node, scale: 7, zero: 8)
    let sums = try lowering.recorded(.product(product), name: node.name)
    return [.tensor(try requantized(&lowering, node, sums, a, b, result, axis: 1))]
  }

  // MARK: Through real numbers

  private static func combined(
    _ lowering: inout Lowering, _ node: OperatorNode, _ f: NetworkBuilder.Binary
  ) throws(SimilarityError) -> Lowering.Value {
    let scales = (try Scale(lowering, node, scale: 1, zero: 2), try Scale(lowering, node, scale: 4, zero: 5))
    let result = try Scale(lowering, node, scale: 6, zero: 7)
    let a = try dequantized(&lowering, node, try lowering.tensor(node, 0), scales.0)
    let b = try dequantized(&lowering, node, try lowering.tensor(node, 3), scales.1)
    return .tensor(try quantized(&lowering, node, try binary(&lowering, f, a, b), result))
  }

  /// Two for the result, and two after each of its parts.
  private static let concatenationConstants: Set<Int> = {
    var indices: Set = [0, 1]
    for part in 1...64 { indices.formUnion([3 * part, 3 * part + 1]) }
    return indices
  }()

  private static func concatenation(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let count = node.node.inputs.count / 3
    guard count > 0, count <= 64, node.node.inputs.count == 3 * count + 2 else {
      throw malformed("it has \(node.node.inputs.count) inputs; expected two, and three for each of up to 64 tensors")
    }
    let output = try Scale(lowering, node, scale: 0, zero: 1)
    var parts: [NetworkBuilder.Tensor] = []
    for part in 1...count {
      let input = try Scale(lowering, node, scale: 3 * part, zero: 3 * part + 1)
      parts.append(try dequantized(&lowering, node, try lowering.tensor(node, 3 * part - 1), input))
    }
    let axis = try axis(node.integer("axis", default: 1), rank: parts[0].shape.count)
    guard
      parts.allSatisfy({ part in
        part.shape.count == parts[0].shape.count
          && part.shape.indices.allSatisfy { $0 == axis || part.shape[$0] == parts[0].shape[$0] }
      })
    else { throw malformed("tensors of shapes \(parts.map(\.shape)) do not fit along axis \(axis)") }
    return [.tensor(try quantized(&lowering, node, lowering.network.concatenated(parts, axis: axis), output))]
  }

  private static func globalAveragePool(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    guard !(try node.flag("channels_last")) else { throw unsupported("its channels come last") }
    let (input, output) = (try Scale(lowering, node, scale: 1, zero: 2), try Scale(lowering, node, scale: 3, zero: 4))
    let x = try lowering.tensor(node, 0)
    guard x.shape.count > 2 else { throw malformed("its input has the shape \(x.shape)") }
    let mean = globalAverage(&lowering, x)
    return [.tensor(try quantized(&lowering, node, try dequantized(&lowering, node, mean, input), output))]
  }

  private static func dynamicallyQuantized(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    func bound(_ f: NetworkBuilder.Reduction, _ low: Float, _ high: Float) -> NetworkBuilder.Tensor {
      let all = lowering.network.reshaped(x, to: [x.count])
      let extreme = lowering.network.reduce(f, all, axes: [0], keepsAxes: false)
      return lowering.network.unary(.clamp(low, high), extreme)
    }
    let (low, high) = (bound(.min, -.infinity, 0), bound(.max, 0, .infinity))
    let scale = lowering.network.unary(
      .affine(scale: 1 / 255, shift: 0), lowering.network.binary(.subtract, high, low))
    func rounded(_ x: NetworkBuilder.Tensor) -> NetworkBuilder.Tensor { lowering.network.unary(.round, x) }
    let place = rounded(lowering.network.unary(.neg, lowering.network.binary(.divide, low, scale)))
    let zero = lowering.network.unary(.clamp(0, 255), place)
    let whole = lowering.network.binary(.add, rounded(lowering.network.binary(.divide, x, scale)), zero)
    return [.tensor(lowering.network.unary(.clamp(0, 255), whole)), .tensor(scale), .tensor(zero)]
  }
}
