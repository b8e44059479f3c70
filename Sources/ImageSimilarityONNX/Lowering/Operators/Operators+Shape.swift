internal import ImageSimilarityCore
internal import ImageSimilarityNN

/// Operators that give elements another shape or order.
extension Operators {
  static let shapeRules: [String: Rule] = [
    "Shape": Rule(lower: shapeOf),
    "Size": Rule { lowering, node throws(SimilarityError) in
      let shape = try lowering.required(node, 0).shape
      return [.constant(ONNXTensor(shape: [], integers: [Int64(shape.reduce(1, *))]))]
    },
    "Reshape": Rule(constants: [1], lower: reshape),
    "Flatten": Rule(lower: flatten),
    "Squeeze": Rule(constants: [1], lower: squeeze),
    "Unsqueeze": Rule(constants: [1], lower: unsqueeze),
    "Transpose": Rule(lower: transpose),
    "Expand": Rule(constants: [1], lower: expand),
    "Tile": Rule(constants: [1], lower: tile),
    "DepthToSpace": Rule(lower: depthToSpace),
    "SpaceToDepth": Rule(lower: spaceToDepth),
    // Constants alone.
    "Constant": Rule { _, _ throws(SimilarityError) in throw unsupported("its value is none that is read here") },
    "ConstantOfShape": Rule(constants: [0], lower: notConstant),
    "Range": Rule(constants: [0, 1, 2], lower: notConstant),
    "NonZero": Rule(constants: [0], lower: notConstant),
    "Equal": Rule(constants: [0, 1], lower: notConstant),
    "Less": Rule(constants: [0, 1], lower: notConstant),
    "LessOrEqual": Rule(constants: [0, 1], lower: notConstant),
    "Greater": Rule(constants: [0, 1], lower: notConstant),
    "GreaterOrEqual": Rule(constants: [0, 1], lower: notConstant),
    "And": Rule(constants: [0, 1], lower: notConstant),
    "Or": Rule(constants: [0, 1], lower: notConstant),
    "Not": Rule(constants: [0], lower: notConstant),
    "Mod": Rule(constants: [0, 1], lower: notConstant),
  ]

  private static func notConstant(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    for index in node.node.inputs.indices where node.has(index) { _ = try lowering.constant(node, index) }
    throw unsupported("it is not computed for such constants")
  }

  private static func shapeOf(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let shape = try lowering.required(node, 0).shape
    func bound(_ value: Int) -> Int { max(0, min(shape.count, value < 0 ? value &+ shape.count : value)) }
    let start = bound(try node.integer("start", default: 0))
    let end = max(start, bound(try node.integer("end", default: shape.count)))
    let sizes = shape[start..<end].map { Int64($0) }
    return [.constant(ONNXTensor(shape: [sizes.count], integers: sizes))]
  }

  private static func reshape(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    guard var shape = try lowering.integers(node, 1, or: "shape") else {
      throw malformed("it has no shape")
    }
    if !(try node.flag("allowzero")) {
      for index in shape.indices where shape[index] == 0 && index < x.shape.count { shape[index] = x.shape[index] }
    }
    let open = shape.indices.filter { shape[$0] == -1 }
    guard open.count <= 1 else { throw malformed("shape \(shape) leaves two sizes open") }
    if let index = open.first {
      shape[index] = 1
      let known = try TensorLimits.check(shape).reduce(1, *)
      shape[index] = x.count / known
    }
    guard shape.allSatisfy({ $0 > 0 }), try TensorLimits.check(shape).reduce(1, *) == x.count else {
      throw malformed("\(x.shape) cannot become \(shape)")
    }
    return [.tensor(lowering.network.reshaped(x, to: shape))]
  }

  private static func flatten(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axis = try axis(node.integer("axis", default: 1), rank: x.shape.count, isInclusive: true)
    let rows = x.shape[..<axis].reduce(1, *)
    return [.tensor(lowering.network.reshaped(x, to: [rows, x.count / rows]))]
  }

  private static func squeeze(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let given = try lowering.integers(node, 1, or: "axes")
    let dropped: [Int]
    if let given {
      dropped = try axes(given, rank: x.shape.count)
    } else {
      dropped = x.shape.indices.filter { x.shape[$0] == 1 }
    }
    guard dropped.allSatisfy({ x.shape[$0] == 1 }) else {
      throw malformed("axes \(dropped) of \(x.shape) are not all of one element")
    }
    let shape = x.shape.indices.filter { !dropped.contains($0) }.map { x.shape[$0] }
    return [.tensor(lowering.network.reshaped(x, to: shape))]
  }

  private static func unsqueeze(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    guard let given = try lowering.integers(node, 1, or: "axes") else { throw malformed("it has no axes") }
    var shape = x.shape
    for axis in try axes(given, rank: x.shape.count + given.count) { shape.insert(1, at: axis) }
    return [.tensor(lowering.network.reshaped(x, to: try TensorLimits.check(shape)))]
  }

  private static func transpose(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let permutation = try node.integers("perm") ?? x.shape.indices.reversed()
    guard permutation.sorted() == Array(x.shape.indices) else {
      throw malformed("\(permutation) is no order of the axes of \(x.shape)")
    }
    return [.tensor(lowering.network.transposed(x, permutation))]
  }

  private static func expand(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    guard let target = try lowering.integers(node, 1) else { throw malformed("it has no shape") }
    let shape = try TensorLimits.broadcast(x.shape, try TensorLimits.check(target))
    return [.tensor(lowering.network.broadcast(x, to: shape))]
  }

  private static func tile(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    var x = try lowering.tensor(node, 0)
    guard let repeats = try lowering.integers(node, 1), repeats.count == x.shape.count else {
      throw malformed("it does not say how often each axis of \(x.shape) is repeated")
    }
    for (axis, count) in repeats.enumerated() where count != 1 {
      let (before, size, after) = (Array(x.shape[..<axis]), x.shape[axis], Array(x.shape[(axis + 1)...]))
      guard count > 0, count <= TensorLimits.elements else {
        throw unsupported("axis \(axis) is repeated \(count) times")
      }
      let shape = try TensorLimits.check(before + [count * size] + after)
      _ = try TensorLimits.check(before + [count, size] + after)
      let apart = lowering.network.reshaped(x, to: before + [1, size] + after)
      x = lowering.network.reshaped(
        lowering.network.broadcast(apart, to: before + [count, size] + after), to: shape)
    }
    return [.tensor(x)]
  }

  private static func block(_ node: OperatorNode, _ x: NetworkBuilder.Tensor) throws(SimilarityError) -> Int {
    let size = try node.integer("blocksize", default: 0)
    guard x.shape.count == 4, size > 0, size <= TensorLimits.window else {
      throw malformed("a block of \(size) is none of a tensor of shape \(x.shape)")
    }
    return size
  }

  private static func depthToSpace(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let size = try block(node, x)
    let (pictures, channels, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    guard channels % (size * size) == 0 else {
      throw malformed("\(channels) channels are no blocks of \(size)x\(size)")
    }
    let depth = channels / (size * size)
    let isDepthFirst = try node.string("mode", default: "DCR") == "DCR"
    let split =
      isDepthFirst ? [pictures, size, size, depth, height, width] : [pictures, depth, size, size, height, width]
    let order = isDepthFirst ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]
    let parts = lowering.network.transposed(lowering.network.reshaped(x, to: split), order)
    return [.tensor(lowering.network.reshaped(parts, to: [pictures, depth, height * size, width * size]))]
  }

  private static func spaceToDepth(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let size = try block(node, x)
    let (pictures, channels, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    guard height % size == 0, width % size == 0 else {
      throw malformed("\(height)x\(width) pixels are no blocks of \(size)x\(size)")
    }
    let split = [pictures, channels, height / size, size, width / size, size]
    let parts = lowering.network.transposed(lowering.network.reshaped(x, to: split), [0, 3, 5, 1, 2, 4])
    return [
      .tensor(
        lowering.network.reshaped(parts, to: [pictures, channels * size * size, height / size, width / size]))
    ]
  }
}
