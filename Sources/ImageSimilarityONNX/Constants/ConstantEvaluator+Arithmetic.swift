internal import ImageSimilarityCore

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Foundation
#endif

/// Operators that compute elements.
extension ConstantEvaluator {
  static let arithmeticRules: [String: Rule] = [
    "Add": binary({ $0 + $1 }, { $0 &+ $1 }), "Sub": binary({ $0 - $1 }, { $0 &- $1 }),
    "Mul": binary({ $0 * $1 }, { $0 &* $1 }),
    "Div": binary({ $0 / $1 }, { $0.dividedReportingOverflow(by: $1).partialValue }),
    "Mod": modulo, "Pow": power, "Min": fold({ Swift.min($0, $1) }, { Swift.min($0, $1) }),
    "Max": fold({ Swift.max($0, $1) }, { Swift.max($0, $1) }), "Sum": fold({ $0 + $1 }, { $0 &+ $1 }),
    "Equal": comparison({ $0 == $1 }, { $0 == $1 }), "Less": comparison({ $0 < $1 }, { $0 < $1 }),
    "LessOrEqual": comparison({ $0 <= $1 }, { $0 <= $1 }), "Greater": comparison({ $0 > $1 }, { $0 > $1 }),
    "GreaterOrEqual": comparison({ $0 >= $1 }, { $0 >= $1 }), "And": comparison({ $0 * $1 != 0 }, { $0 & $1 != 0 }),
    "Or": comparison({ $0 + $1 != 0 }, { $0 | $1 != 0 }),
    "Not": unary({ $0 == 0 ? 1 : 0 }, { $0 == 0 ? 1 : 0 }), "Neg": unary({ -$0 }, { 0 &- $0 }),
    "Abs": unary({ abs($0) }, { $0 < 0 ? 0 &- $0 : $0 }),
    "Sign": unary({ $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }, { $0.signum() }),
    "Sqrt": unary({ $0.squareRoot() }), "Reciprocal": unary({ 1 / $0 }), "Exp": unary({ exp($0) }),
    "Log": unary({ log($0) }), "Floor": unary({ $0.rounded(.down) }), "Ceil": unary({ $0.rounded(.up) }),
    "Round": unary({ $0.rounded(.toNearestOrEven) }), "Clip": clip,
    "ReduceSum": reduction({ $0.reduce(0, +) }, { $0.reduce(0, &+) }),
    "ReduceProd": reduction({ $0.reduce(1, *) }, { $0.reduce(1, &*) }),
    "ReduceMin": reduction({ $0.min() ?? .infinity }, { $0.min() ?? .max }),
    "ReduceMax": reduction({ $0.max() ?? -.infinity }, { $0.max() ?? .min }),
    "ReduceMean": reduction(
      { $0.reduce(0, +) / Float($0.count) }, { $0.isEmpty ? 0 : $0.reduce(0, &+) / Int64($0.count) }),
    "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
  ]

  private typealias FloatFunction = @Sendable (Float, Float) -> Float
  private typealias IntegerFunction = @Sendable (Int64, Int64) -> Int64

  // MARK: Two operands

  private static func combine(
    _ a: ConstantTensor, _ b: ConstantTensor, _ floats: FloatFunction, _ integers: IntegerFunction
  ) throws(SimilarityError) -> ConstantTensor {
    guard a.type == b.type else { throw malformed("\(a.type) and \(b.type) are not of one type") }
    let shape = try ConstantTensor.broadcast(a.shape, b.shape)
    let (x, y) = (a.broadcast(to: shape), b.broadcast(to: shape))
    if case (.integers(let x), .integers(let y)) = (x.elements, y.elements) {
      return ConstantTensor(shape: shape, zip(x, y).map { a.type.wrapping(integers($0, $1)) }, type: a.type)
    }
    return ConstantTensor(
      shape: shape, type: a.type,
      .floats(zip(x.floats(), y.floats()).map { floats($0, $1).rounded(to: a.type) }))
  }

  private static func binary(_ floats: @escaping FloatFunction, _ integers: @escaping IntegerFunction) -> Rule {
    { (node, inputs) throws(SimilarityError) in
      let (a, b) = (try input(inputs, 0), try input(inputs, 1))
      if node.node.operation == "Div", b.type.isInteger, try b.integers().contains(0) {
        throw malformed("it divides by zero")
      }
      return [try combine(a, b, floats, integers)]
    }
  }

  private static func fold(_ floats: @escaping FloatFunction, _ integers: @escaping IntegerFunction) -> Rule {
    { (node, inputs) throws(SimilarityError) in
      var result = try input(inputs, 0)
      for index in inputs.indices.dropFirst() { result = try combine(result, input(inputs, index), floats, integers) }
      return [result]
    }
  }

  private static func comparison(
    _ floats: @escaping @Sendable (Float, Float) -> Bool, _ integers: @escaping @Sendable (Int64, Int64) -> Bool
  ) -> Rule {
    { (node, inputs) throws(SimilarityError) in
      let result = try combine(
        input(inputs, 0), input(inputs, 1), { floats($0, $1) ? 1 : 0 }, { integers($0, $1) ? 1 : 0 })
      return [ConstantTensor(shape: result.shape, result.floats().map { $0 == 0 ? 0 : 1 }, type: .bool)]
    }
  }

  private static func modulo(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (a, b) = (try input(inputs, 0), try input(inputs, 1))
    if b.type.isInteger, try b.integers().contains(0) { throw malformed("it divides by zero") }
    let isTruncating = try node.flag("fmod")
    return [
      try combine(
        a, b, { $0.truncatingRemainder(dividingBy: $1) },
        { x, y in
          let rest = x.remainderReportingOverflow(dividingBy: y).partialValue
          return isTruncating || rest == 0 || (rest < 0) == (y < 0) ? rest : rest &+ y
        })
    ]
  }

  /// The exponent may be of another type.
  private static func power(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (a, b) = (try input(inputs, 0), try input(inputs, 1))
    let shape = try ConstantTensor.broadcast(a.shape, b.shape)
    let values = zip(a.broadcast(to: shape).floats(), b.broadcast(to: shape).floats()).map {
      pow(Double($0), Double($1))
    }
    if a.type.isInteger {
      return [
        ConstantTensor(
          shape: shape, values.map { a.type.wrapping(Int64(exactly: $0.rounded(.towardZero)) ?? 0) }, type: a.type)
      ]
    }
    return [ConstantTensor(shape: shape, type: a.type, .floats(values.map { Float($0).rounded(to: a.type) }))]
  }

  // MARK: One operand

  private static func unary(
    _ floats: @escaping @Sendable (Float) -> Float, _ integers: (@Sendable (Int64) -> Int64)? = nil
  ) -> Rule {
    { (node, inputs) throws(SimilarityError) in
      let x = try input(inputs, 0)
      switch x.elements {
      case .floats(let values):
        return [
          ConstantTensor(shape: x.shape, type: x.type, .floats(values.map { floats($0).rounded(to: x.type) }))
        ]
      case .integers(let values):
        guard let integers else { throw malformed("it is not for integers") }
        return [ConstantTensor(shape: x.shape, values.map { x.type.wrapping(integers($0)) }, type: x.type)]
      }
    }
  }

  private static func clip(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    var x = try input(inputs, 0)
    for (index, name) in [(1, "min"), (2, "max")] {
      var limit: ConstantTensor?
      if index < inputs.count { limit = inputs[index] }
      if let value = try node.float(name) {
        guard x.type.isFloatingPoint else { throw malformed("its limits are numbers, and its input is of \(x.type)") }
        limit = ConstantTensor(shape: [], type: x.type, .floats([value]))
      }
      guard let limit, limit.count == 1 else { continue }
      x =
        index == 1
        ? try combine(x, limit, { Swift.max($0, $1) }, { Swift.max($0, $1) })
        : try combine(x, limit, { Swift.min($0, $1) }, { Swift.min($0, $1) })
    }
    return [x]
  }

  // MARK: Along axes

  private static func reduction(
    _ floats: @escaping @Sendable ([Float]) -> Float, _ integers: @escaping @Sendable ([Int64]) -> Int64
  ) -> Rule {
    { (node, inputs) throws(SimilarityError) in
      let x = try input(inputs, 0)
      let given = try list(node, inputs, 1, attribute: "axes") ?? []
      if given.isEmpty, try node.flag("noop_with_empty_axes") { return [x] }
      let reduced = given.isEmpty ? Array(x.shape.indices) : try axes(given, rank: x.shape.count)
      let kept = x.shape.indices.filter { !reduced.contains($0) }
      let strides = ConstantTensor.rowMajor(x.shape)
      let starts = ConstantTensor.places(kept.map { x.shape[$0] }, kept.map { strides[$0] })
      let offsets = ConstantTensor.places(reduced.map { x.shape[$0] }, reduced.map { strides[$0] })
      let shape =
        try node.flag("keepdims", default: true)
        ? x.shape.indices.map { reduced.contains($0) ? 1 : x.shape[$0] } : kept.map { x.shape[$0] }
      switch x.elements {
      case .floats(let values):
        return [
          ConstantTensor(
            shape: shape, type: x.type,
            .floats(starts.map { start in floats(offsets.map { values[start + $0] }).rounded(to: x.type) }))
        ]
      case .integers(let values):
        return [
          ConstantTensor(
            shape: shape,
            starts.map { start in x.type.wrapping(integers(offsets.map { values[start + $0] })) }, type: x.type)
        ]
      }
    }
  }

  // MARK: Quantisation

  /// A scale or zero point for each element: one for all, or one for each place of an axis.
  private static func spread(
    _ values: ConstantTensor, over x: ConstantTensor, axis: Int
  ) throws(SimilarityError) -> ConstantTensor {
    if values.count == 1 { return values.taking([Int](repeating: 0, count: x.count), shape: x.shape) }
    guard values.shape.count == 1, axis < x.shape.count, values.count == x.shape[axis] else {
      throw unsupported("scales or zero points of shape \(values.shape) for a tensor of \(x.shape)")
    }
    var strides = [Int](repeating: 0, count: x.shape.count)
    strides[axis] = 1
    return values.taking(ConstantTensor.places(x.shape, strides), shape: x.shape)
  }

  private static func quantize(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (x, scale) = (try input(inputs, 0), try input(inputs, 1))
    let zero = inputs.count > 2 ? inputs[2] : nil
    let type = zero?.type ?? .uint8
    // Limits are to be exact in double precision.
    guard let range = type.integerRange, range.upperBound <= Int64(UInt32.max) else {
      throw unsupported("it quantises to \(type)")
    }
    let axis = try scale.count == 1 ? 0 : axis(node.integer("axis", default: 1), rank: x.shape.count)
    let scales = try spread(scale, over: x, axis: axis).floats()
    let zeros = if let zero { try spread(zero, over: x, axis: axis).integers() } else { scales.map { _ in 0 } }
    let values = zip(x.floats(), zip(scales, zeros)).map { value, parameters -> Int64 in
      let step = (value / parameters.0).rounded(.toNearestOrEven) + Float(parameters.1)
      return step.isNaN ? 0 : Int64(min(max(Double(step), Double(range.lowerBound)), Double(range.upperBound)))
    }
    return [ConstantTensor(shape: x.shape, values, type: type)]
  }

  private static func dequantize(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (x, scale) = (try input(inputs, 0), try input(inputs, 1))
    guard scale.type.isFloatingPoint else { throw malformed("its scale is of \(scale.type)") }
    let axis = try scale.count == 1 ? 0 : axis(node.integer("axis", default: 1), rank: x.shape.count)
    let scales = try spread(scale, over: x, axis: axis).floats()
    let zero = inputs.count > 2 ? inputs[2] : nil
    let zeros = if let zero { try spread(zero, over: x, axis: axis).integers() } else { scales.map { _ in 0 } }
    let values = try zip(x.integers(), zip(scales, zeros)).map { Float($0 &- $1.1) * $1.0 }
    return [ConstantTensor(shape: x.shape, type: scale.type, .floats(values))]
  }
}
