internal import ImageSimilarityCore

/// Operators that move elements.
extension ConstantEvaluator {
  static let movingRules: [String: Rule] = [
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose,
    "Concat": concat, "Slice": slice, "Split": split, "Gather": gather, "Expand": expand, "Tile": tile,
    "ConstantOfShape": constantOfShape, "Range": range, "Where": choose, "NonZero": nonZero, "Cast": cast,
  ]

  private static func reshape(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    guard var shape = try list(node, inputs, 1, attribute: "shape") else { throw malformed("it has no shape") }
    if !(try node.flag("allowzero")) {
      for axis in shape.indices where shape[axis] == 0 {
        guard axis < x.shape.count else {
          throw malformed("shape \(shape) copies an axis that \(x.shape) does not have")
        }
        shape[axis] = x.shape[axis]
      }
    }
    if let open = shape.firstIndex(of: -1) {
      let known = shape.enumerated().filter { $0.offset != open }.reduce(1) { $0 &* $1.element }
      guard known > 0, x.count % known == 0 else { throw malformed("\(x.shape) does not fit the shape \(shape)") }
      shape[open] = x.count / known
    }
    guard try ConstantTensor.check(shape).reduce(1, *) == x.count else {
      throw malformed("\(x.shape) does not fit the shape \(shape)")
    }
    return [x.reshaped(to: shape)]
  }

  private static func flatten(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    let axis = try axis(node.integer("axis", default: 1), rank: x.shape.count, isInclusive: true)
    return [x.reshaped(to: [x.shape[..<axis].reduce(1, *), x.shape[axis...].reduce(1, *)])]
  }

  private static func squeeze(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    let given = try list(node, inputs, 1, attribute: "axes")
    let removed =
      if let given { try axes(given, rank: x.shape.count) } else { x.shape.indices.filter { x.shape[$0] == 1 } }
    guard removed.allSatisfy({ x.shape[$0] == 1 }) else {
      throw malformed("axes \(removed) of \(x.shape) are not all of one element")
    }
    return [x.reshaped(to: x.shape.indices.filter { !removed.contains($0) }.map { x.shape[$0] })]
  }

  private static func unsqueeze(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    guard let given = try list(node, inputs, 1, attribute: "axes") else { throw malformed("it has no axes") }
    guard given.count <= 64 else { throw malformed("it adds \(given.count) axes") }
    let added = try axes(given, rank: x.shape.count + given.count)
    var shape = x.shape
    for axis in added { shape.insert(1, at: axis) }
    return [x.reshaped(to: shape)]
  }

  private static func transpose(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    let permutation = try node.integers("perm") ?? Array(x.shape.indices.reversed())
    guard permutation.sorted() == Array(x.shape.indices) else {
      throw malformed("\(permutation) is no permutation of the axes of \(x.shape)")
    }
    let strides = ConstantTensor.rowMajor(x.shape)
    let shape = permutation.map { x.shape[$0] }
    return [x.taking(ConstantTensor.places(shape, permutation.map { strides[$0] }), shape: shape)]
  }

  private static func concat(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let first = try input(inputs, 0)
    let axis = try axis(node.integer("axis", default: 1), rank: first.shape.count)
    var shape = first.shape
    shape[axis] = 0
    var parts: [ConstantTensor] = []
    for index in inputs.indices {
      let part = try input(inputs, index)
      var others = part.shape
      guard others.count == shape.count, part.type == first.type else {
        throw malformed("tensors of \(first.type) \(first.shape) and \(part.type) \(part.shape) are no one tensor")
      }
      shape[axis] += others[axis]
      others[axis] = first.shape[axis]
      guard others == first.shape else { throw malformed("\(first.shape) and \(part.shape) do not fit along \(axis)") }
      parts.append(part)
    }
    _ = try ConstantTensor.check(shape)
    // All elements one after the other, then picked in the result's order.
    var all = first
    if first.type.isInteger {
      var integers: [Int64] = []
      for part in parts { integers += try part.integers().map(Int64.init) }
      all.elements = .integers(integers)
    } else {
      all.elements = .floats(parts.flatMap { $0.floats() })
    }
    let inner = shape[(axis + 1)...].reduce(1, *)
    var places: [Int] = []
    for outer in 0..<shape[..<axis].reduce(1, *) {
      var start = 0
      for part in parts {
        let run = part.shape[axis] * inner
        places.append(contentsOf: start + outer * run..<start + (outer + 1) * run)
        start += part.count
      }
    }
    return [all.taking(places, shape: shape)]
  }

  private static func slice(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    guard let starts = try list(node, inputs, 1, attribute: "starts"),
      let ends = try list(node, inputs, 2, attribute: "ends")
    else { throw malformed("it has no starts or ends") }
    let given = try list(node, inputs, 3, attribute: "axes") ?? Array(starts.indices)
    let steps = try list(node, inputs, 4, attribute: "steps") ?? given.map { _ in 1 }
    guard starts.count == ends.count, starts.count == given.count, starts.count == steps.count,
      steps.allSatisfy({ $0 != 0 && $0 != .min })
    else { throw malformed("starts, ends, axes and steps are of different numbers, or a step is 0") }
    var sliced: [Int] = []
    for element in given { sliced.append(try axis(element, rank: x.shape.count)) }
    guard Set(sliced).count == sliced.count else { throw malformed("axes \(given) name an axis twice") }
    var (shape, strides) = (x.shape, ConstantTensor.rowMajor(x.shape))
    var origin = 0
    for index in sliced.indices {
      let axis = sliced[index]
      let (size, step) = (x.shape[axis], steps[index])
      func place(_ bound: Int, _ limits: ClosedRange<Int>) -> Int {
        min(max(bound < 0 ? bound + size : bound, limits.lowerBound), limits.upperBound)
      }
      let limits = step > 0 ? 0...size : -1...max(size - 1, -1)
      // Ends far below zero mean: to the first element.
      let (start, end) = (place(max(starts[index], -size - 1), limits), place(max(ends[index], -2 * size - 1), limits))
      let span = step > 0 ? end - start : start - end
      let magnitude = abs(step)
      shape[axis] = span <= 0 ? 0 : (span - 1) / magnitude + 1
      origin += shape[axis] == 0 ? 0 : start * strides[axis]
      strides[axis] = shape[axis] <= 1 ? 0 : strides[axis] * step
    }
    return [x.taking(ConstantTensor.places(shape, strides, from: origin), shape: shape)]
  }

  private static func split(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    let axis = try axis(node.integer("axis", default: 0), rank: x.shape.count)
    let parts = try node.integer("num_outputs", default: node.node.outputs.count)
    guard parts > 0, parts <= max(node.node.outputs.count, 1) else { throw malformed("it splits into \(parts) parts") }
    let size = (x.shape[axis] + parts - 1) / parts
    let sizes =
      try list(node, inputs, 1, attribute: "split")
      ?? (0..<parts).map { max(0, min(size, x.shape[axis] - $0 * size)) }
    guard sizes.allSatisfy({ (0...x.shape[axis]).contains($0) }), sizes.reduce(0, +) == x.shape[axis] else {
      throw malformed("parts of \(sizes) do not make up axis \(axis) of \(x.shape)")
    }
    let strides = ConstantTensor.rowMajor(x.shape)
    var start = 0
    var results: [ConstantTensor] = []
    for size in sizes {
      var shape = x.shape
      shape[axis] = size
      results.append(x.taking(ConstantTensor.places(shape, strides, from: start * strides[axis]), shape: shape))
      start += size
    }
    return results
  }

  private static func gather(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (x, indices) = (try input(inputs, 0), try input(inputs, 1))
    let axis = try axis(node.integer("axis", default: 0), rank: x.shape.count)
    let size = x.shape[axis]
    var taken: [Int] = []
    for index in try indices.integers() {
      guard (-size..<size).contains(index) else { throw malformed("index \(index) is beyond \(size) elements") }
      taken.append(index < 0 ? index + size : index)
    }
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    let shape = try ConstantTensor.check(Array(x.shape[..<axis]) + indices.shape + Array(x.shape[(axis + 1)...]))
    var places: [Int] = []
    for outer in 0..<x.shape[..<axis].reduce(1, *) {
      for index in taken {
        places.append(contentsOf: (outer * size + index) * inner..<(outer * size + index + 1) * inner)
      }
    }
    return [x.taking(places, shape: shape)]
  }

  private static func expand(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    return [x.broadcast(to: try ConstantTensor.broadcast(x.shape, input(inputs, 1).integers()))]
  }

  private static func tile(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    var x = try input(inputs, 0)
    let repeats = try input(inputs, 1).integers()
    guard repeats.count == x.shape.count, repeats.allSatisfy({ (0...TensorLimits.elements).contains($0) }) else {
      throw malformed("\(repeats) are no numbers of copies along the axes of \(x.shape)")
    }
    _ = try ConstantTensor.check(zip(x.shape, repeats).map { $0 &* $1 })
    for axis in x.shape.indices where repeats[axis] != 1 {
      let inner = x.shape[axis...].reduce(1, *)
      var places: [Int] = []
      for outer in 0..<x.shape[..<axis].reduce(1, *) {
        for _ in 0..<repeats[axis] { places.append(contentsOf: outer * inner..<(outer + 1) * inner) }
      }
      var shape = x.shape
      shape[axis] *= repeats[axis]
      x = x.taking(places, shape: shape)
    }
    return [x]
  }

  private static func constantOfShape(
    _ node: OperatorNode, _ inputs: [ConstantTensor?]
  ) throws(SimilarityError) -> [ConstantTensor] {
    let shape = try ConstantTensor.check(input(inputs, 0).integers())
    guard case .tensor(let value) = node.node.attributes["value"] else {
      return [
        ConstantTensor(
          shape: shape, type: .float, .floats([Float](repeating: 0, count: shape.reduce(1, *))))
      ]
    }
    guard value.elementCount == 1 else { throw malformed("its value is \(value.shape), expected one element") }
    return [try ConstantTensor(value).taking([Int](repeating: 0, count: shape.reduce(1, *)), shape: shape)]
  }

  private static func range(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let bounds = [try input(inputs, 0), try input(inputs, 1), try input(inputs, 2)]
    guard bounds.allSatisfy({ $0.count == 1 }) else { throw malformed("its bounds are no single numbers") }
    guard bounds.allSatisfy({ $0.type == bounds[0].type }) else { throw malformed("its bounds are not of one type") }
    let numbers = bounds.map(\.firstNumber)
    let exact = numbers[2] == 0 ? .infinity : ((numbers[1] - numbers[0]) / numbers[2]).rounded(.up)
    guard exact <= Double(TensorLimits.elements) else { throw malformed("it has \(exact) elements") }
    let count = Int(max(0, exact))
    guard bounds[0].type.isInteger else {
      let floats = bounds.map { $0.floats()[0] }
      return [
        ConstantTensor(
          shape: [count], type: bounds[0].type, .floats((0..<count).map { floats[0] + Float($0) * floats[2] }))
      ]
    }
    let (start, step) = (try bounds[0].integers()[0], try bounds[2].integers()[0])
    return [ConstantTensor(shape: [count], (0..<count).map { Int64(start &+ $0 &* step) }, type: bounds[0].type)]
  }

  private static func choose(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let (condition, a, b) = (try input(inputs, 0), try input(inputs, 1), try input(inputs, 2))
    guard a.type == b.type else { throw malformed("it chooses between \(a.type) and \(b.type)") }
    let shape = try ConstantTensor.broadcast(ConstantTensor.broadcast(condition.shape, a.shape), b.shape)
    let isFirst = try condition.broadcast(to: shape).integers()
    let (first, second) = (a.broadcast(to: shape), b.broadcast(to: shape))
    switch (first.elements, second.elements) {
    case (.integers(let x), .integers(let y)):
      return [ConstantTensor(shape: shape, isFirst.indices.map { isFirst[$0] != 0 ? x[$0] : y[$0] }, type: a.type)]
    default:
      let (x, y) = (first.floats(), second.floats())
      return [
        ConstantTensor(
          shape: shape, type: a.type, .floats(isFirst.indices.map { isFirst[$0] != 0 ? x[$0] : y[$0] }))
      ]
    }
  }

  private static func nonZero(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    let found = x.floats().enumerated().filter { $0.element != 0 }.map(\.offset)
    let strides = ConstantTensor.rowMajor(x.shape)
    let shape = try ConstantTensor.check([x.shape.count, found.count])
    let places = x.shape.indices.flatMap { axis in found.map { Int64($0 / strides[axis] % x.shape[axis]) } }
    return [ConstantTensor(shape: shape, places)]
  }

  private static func cast(_ node: OperatorNode, _ inputs: [ConstantTensor?]) throws(SimilarityError)
    -> [ConstantTensor]
  {
    let x = try input(inputs, 0)
    guard let number = try node.integer("to"), let type = ONNXElementType(rawValue: Int32(truncatingIfNeeded: number))
    else { throw malformed("it casts to no type") }
    if type.isFloatingPoint {
      return [ConstantTensor(shape: x.shape, type: type, .floats(x.floats().map { $0.rounded(to: type) }))]
    }
    guard let range = type.integerRange else { throw unsupported("it casts to \(type)") }
    switch x.elements {
    case .integers(let integers):
      return [
        ConstantTensor(
          shape: x.shape, integers.map { type == .bool ? ($0 == 0 ? 0 : 1) : type.wrapping($0) }, type: type)
      ]
    case .floats(let floats):
      let values = floats.map { value -> Int64 in
        if type == .bool { return value == 0 ? 0 : 1 }
        // Towards zero; what the type does not hold becomes its limit.
        return Int64(exactly: value.rounded(.towardZero)).map { min(max($0, range.lowerBound), range.upperBound) }
          ?? (value > 0 ? range.upperBound : value < 0 ? range.lowerBound : 0)
      }
      return [ConstantTensor(shape: x.shape, values, type: type)]
    }
  }
}

extension ConstantTensor {
  /// The first element, which there is; integers up to 53 bits are exact.
  fileprivate var firstNumber: Double {
    switch elements {
    case .floats(let floats): Double(floats[0])
    case .integers(let integers): Double(integers[0])
    }
  }
}

extension Float {
  /// The nearest number of a type, ties to even.
  func rounded(to type: ONNXElementType) -> Float {
    switch type {
    case .float16:
      return Float(Float16(self))
    case .bfloat16:
      guard isFinite else { return self }
      let bits = bitPattern
      return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
    default:
      return self
    }
  }
}

extension ONNXElementType {
  /// What is left of an integer in this type's bits.
  func wrapping(_ value: Int64) -> Int64 {
    switch self {
    case .uint8: Int64(UInt8(truncatingIfNeeded: value))
    case .int8: Int64(Int8(truncatingIfNeeded: value))
    case .uint16: Int64(UInt16(truncatingIfNeeded: value))
    case .int16: Int64(Int16(truncatingIfNeeded: value))
    case .uint32: Int64(UInt32(truncatingIfNeeded: value))
    case .int32: Int64(Int32(truncatingIfNeeded: value))
    case .bool: value == 0 ? 0 : 1
    default: value
    }
  }
}
