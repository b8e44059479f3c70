internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let selectionRules: [String: Rule] = [
    "Where": Rule(constants: [0], lower: choose),
    "Gather": Rule(constants: [1], lower: gather),
    "Slice": Rule(constants: [1, 2, 3, 4], lower: slice),
    "Split": Rule(constants: [1], lower: split),
    "Concat": Rule(lower: concatenate),
  ]

  /// Elements of two tensors, by constant conditions.
  private static func choose(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let condition = try lowering.constant(node, 0)
    let picks = try condition.integers().map { $0 != 0 }
    let chosen = try TensorLimits.broadcast(
      try lowering.required(node, 1).shape, try lowering.required(node, 2).shape)
    let shape = try TensorLimits.broadcast(condition.shape, chosen)
    if Set(picks).count == 1 {
      let x = try lowering.tensor(node, picks[0] ? 1 : 2)
      return [.tensor(lowering.network.broadcast(x, to: shape))]
    }

    // The sum of what is kept of each. Of constants, exactly that is kept, so that they may be infinite.
    var sum: NetworkBuilder.Tensor?
    for (index, keep) in [(1, picks), (2, picks.map { !$0 })] {
      let part: NetworkBuilder.Tensor
      if case .constant(let tensor) = try lowering.required(node, index), tensor.elementCount == 1 {
        let value = try tensor.floats()[0]
        part = lowering.constant(
          "\(node.name)[\(index)]", shape: condition.shape, keep.map { $0 ? value : 0 })
      } else {
        let mask = lowering.constant("\(node.name)[\(index)]", shape: condition.shape, keep.map { $0 ? 1 : 0 })
        part = try binary(&lowering, .multiply, try lowering.tensor(node, index), mask)
      }
      if let other = sum {
        sum = try binary(&lowering, .add, other, part)
      } else {
        sum = part
      }
    }
    guard let sum else { preconditionFailure("there are two parts") }
    return [.tensor(lowering.network.broadcast(sum, to: shape))]
  }

  private static func gather(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axis = try axis(node.integer("axis", default: 0), rank: x.shape.count)
    let indices = try lowering.constant(node, 1)
    let size = x.shape[axis]
    var picks: [Int] = []
    for index in try indices.integers() {
      guard index >= -Int64(size), index < Int64(size) else {
        throw malformed("index \(index) is none of an axis of \(size) elements")
      }
      picks.append(Int(index < 0 ? index + Int64(size) : index))
    }
    let shape = try TensorLimits.check(Array(x.shape[..<axis]) + indices.shape + Array(x.shape[(axis + 1)...]))
    let picked = picking(&lowering, x, axis: axis, picks)
    return [.tensor(lowering.network.reshaped(picked, to: shape))]
  }

  /// The elements `picks` of an axis, in this order: a view where they are evenly apart.
  static func picking(
    _ lowering: inout Lowering, _ x: NetworkBuilder.Tensor, axis: Int, _ picks: [Int]
  ) -> NetworkBuilder.Tensor {
    let step = picks.count > 1 ? picks[1] - picks[0] : 1
    if step != 0, picks.indices.allSatisfy({ picks[$0] == picks[0] + $0 * step }) {
      return lowering.network.sliced(x, axis: axis, from: picks[0], count: picks.count, step: step)
    }
    return lowering.network.resampled(
      x, axis: axis, indices: picks.map { [$0] }, weights: [[Float]](repeating: [1], count: picks.count))
  }

  private static func slice(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    var x = try lowering.tensor(node, 0)
    // Attributes before opset 10.
    guard let starts = try lowering.integers(node, 1, or: "starts"),
      let ends = try lowering.integers(node, 2, or: "ends")
    else { throw malformed("it has no starts and ends") }
    let axes = try lowering.integers(node, 3, or: "axes") ?? Array(starts.indices)
    let steps = try lowering.integers(node, 4) ?? [Int](repeating: 1, count: starts.count)
    guard [ends.count, axes.count, steps.count].allSatisfy({ $0 == starts.count }) else {
      throw malformed("it has \(starts.count) starts, \(ends.count) ends, \(axes.count) axes and \(steps.count) steps")
    }
    for (index, listed) in axes.enumerated() {
      let axis = try axis(listed, rank: x.shape.count)
      let (size, step) = (x.shape[axis], steps[index])
      guard step != 0 else { throw malformed("a step is 0") }
      func clamped(_ position: Int) -> Int {
        let place = position < 0 ? position &+ size : position
        return step > 0 ? max(0, min(size, place)) : max(-1, min(size - 1, place))
      }
      let start = clamped(starts[index])
      let end = clamped(ends[index])
      let distance = step > 0 ? end - start : start - end
      // Of any steps as large as the axis, only the first element is left.
      let length = Int(min(step.magnitude, UInt(size)))
      let count = max(0, (distance + length - 1) / length)
      guard count > 0 else { throw unsupported("nothing is left of axis \(axis)") }
      x = lowering.network.sliced(
        x, axis: axis, from: start, count: count, step: count == 1 ? 1 : (step > 0 ? length : -length))
    }
    return [.tensor(x)]
  }

  private static func split(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    let axis = try axis(node.integer("axis", default: 0), rank: x.shape.count)
    let size = x.shape[axis]
    let sizes: [Int]
    if let given = try lowering.integers(node, 1, or: "split") {
      sizes = given
    } else {
      let parts = node.node.outputs.count
      let length = (size + parts - 1) / max(parts, 1)
      sizes = (0..<parts).map { min(length, size - $0 * length) }
    }
    guard sizes.allSatisfy({ $0 > 0 && $0 <= size }), sizes.reduce(0, { $0 &+ $1 }) == size,
      sizes.count == node.node.outputs.count
    else {
      throw unsupported("it splits \(size) elements into \(node.node.outputs.count) parts of \(sizes)")
    }
    var start = 0
    var parts: [Lowering.Value] = []
    for count in sizes {
      parts.append(.tensor(lowering.network.sliced(x, axis: axis, from: start, count: count)))
      start += count
    }
    return parts
  }

  private static func concatenate(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    var parts: [NetworkBuilder.Tensor] = []
    for index in node.node.inputs.indices {
      // Exporters write empty parts where nothing is added.
      if try lowering.required(node, index).shape.contains(0) { continue }
      parts.append(try lowering.tensor(node, index))
    }
    guard let first = parts.first else { throw malformed("it has no inputs") }
    guard let listed = try node.integer("axis") else { throw malformed("it has no axis") }
    let axis = try axis(listed, rank: first.shape.count)
    var shape = first.shape
    for part in parts.dropFirst() {
      guard part.shape.count == shape.count,
        shape.indices.allSatisfy({ $0 == axis || part.shape[$0] == shape[$0] })
      else { throw malformed("shapes \(parts.map(\.shape)) do not fit each other along axis \(axis)") }
      shape[axis] += part.shape[axis]
    }
    _ = try TensorLimits.check(shape)
    return [.tensor(parts.count == 1 ? first : lowering.network.concatenated(parts, axis: axis))]
  }
}
