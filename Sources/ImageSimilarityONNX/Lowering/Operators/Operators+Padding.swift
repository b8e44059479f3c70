internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let paddingRules: [String: Rule] = [
    "Pad": Rule(constants: [1, 2, 3], lower: pad)
  ]

  private static func pad(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    var x = try lowering.tensor(node, 0)
    let rank = x.shape.count
    // Attributes before opset 11, axes from opset 18 on.
    guard let pads = try lowering.integers(node, 1, or: "pads") else { throw malformed("it has no pads") }
    let value = try lowering.scalar(node, 2, or: "value") ?? 0
    let listed = try lowering.integers(node, 3) ?? Array(0..<rank)
    guard pads.count == 2 * listed.count else {
      throw malformed("it has \(pads.count) pads for \(listed.count) axes")
    }
    var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
    for (index, name) in listed.enumerated() {
      let axis = try axis(name, rank: rank)
      (before[axis], after[axis]) = (pads[index], pads[listed.count + index])
      guard [before[axis], after[axis]].allSatisfy({ abs($0.clamped) <= TensorLimits.elements }) else {
        throw unsupported("its pads are \(pads)")
      }
    }
    _ = try TensorLimits.check((0..<rank).map { x.shape[$0] + before[$0] + after[$0] })

    // What is cut off, before anything is added.
    for axis in 0..<rank where min(before[axis], after[axis]) < 0 {
      let start = max(0, -before[axis])
      let count = x.shape[axis] - start - max(0, -after[axis])
      guard count > 0 else { throw unsupported("nothing is left of axis \(axis)") }
      x = lowering.network.sliced(x, axis: axis, from: start, count: count)
    }
    (before, after) = (before.map { max(0, $0) }, after.map { max(0, $0) })
    guard (before + after).contains(where: { $0 > 0 }) else { return [.tensor(x)] }

    let mode = try node.string("mode", default: "constant")
    if mode == "constant" {
      return [.tensor(lowering.network.padded(x, before: before, after: after, value: value))]
    }
    for axis in 0..<rank where before[axis] + after[axis] > 0 {
      let size = x.shape[axis]
      let source: (Int) -> Int
      switch mode {
      case "edge": source = { max(0, min(size - 1, $0)) }
      case "wrap": source = { ($0 % size + size) % size }
      case "reflect":
        let period = max(1, 2 * (size - 1))
        source = {
          let place = ($0 % period + period) % period
          return min(place, period - place)
        }
      default: throw malformed("there is no padding '\(mode)'")
      }
      x = picking(&lowering, x, axis: axis, (-before[axis]..<size + after[axis]).map { size == 1 ? 0 : source($0) })
    }
    return [.tensor(x)]
  }
}

extension Int {
  /// Of which there is an absolute value.
  fileprivate var clamped: Int { Swift.max(self, -.max) }
}
