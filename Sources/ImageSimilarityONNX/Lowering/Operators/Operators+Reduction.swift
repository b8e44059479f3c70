internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let reductionRules: [String: Rule] = [
    "ReduceMean": reduction(.mean),
    "ReduceSum": reduction(.sum),
    "ReduceMax": reduction(.max),
    "ReduceMin": reduction(.min),
    "ReduceProd": reduction(.product),
    "ReduceSumSquare": reduction(.sumOfSquares),
    "ReduceL1": reduction(.sumOfAbs),
    "ReduceL2": reduction { lowering, x, axes in
      lowering.network.unary(.sqrt, lowering.network.reduce(.sumOfSquares, x, axes: axes, keepsAxes: true))
    },
    "ReduceLogSum": reduction { lowering, x, axes in
      lowering.network.unary(.log, lowering.network.reduce(.sum, x, axes: axes, keepsAxes: true))
    },
    "ReduceLogSumExp": reduction { lowering, x, axes in
      // The largest exponent is 0, so that the sum stays finite.
      let peak = lowering.network.reduce(.max, x, axes: axes, keepsAxes: true)
      let powers = lowering.network.unary(.exp, lowering.network.binary(.subtract, x, peak))
      let sum = lowering.network.reduce(.sum, powers, axes: axes, keepsAxes: true)
      return lowering.network.binary(.add, lowering.network.unary(.log, sum), peak)
    },
  ]

  static let softmaxRules: [String: Rule] = [
    "Softmax": softmax(log: false),
    "LogSoftmax": softmax(log: true),
  ]

  private static func reduction(_ f: NetworkBuilder.Reduction) -> Rule {
    reduction { lowering, x, axes in lowering.network.reduce(f, x, axes: axes, keepsAxes: true) }
  }

  /// - Parameter reduce: keeps the axes, of one element.
  private static func reduction(
    _ reduce: @escaping @Sendable (inout Lowering, NetworkBuilder.Tensor, [Int]) -> NetworkBuilder.Tensor
  ) -> Rule {
    Rule(constants: [1]) { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      let given = try lowering.integers(node, 1, or: "axes") ?? []
      if given.isEmpty, try node.flag("noop_with_empty_axes") { return [.tensor(x)] }
      let axes = given.isEmpty ? Array(x.shape.indices) : try axes(given, rank: x.shape.count)
      // A single number has no axes to be reduced over.
      if axes.isEmpty {
        let row = lowering.network.reshaped(x, to: [1])
        let result = reduce(&lowering, row, [0])
        return [.tensor(lowering.network.reshaped(result, to: []))]
      }
      let result = reduce(&lowering, x, axes)
      if try node.flag("keepdims", default: true) { return [.tensor(result)] }
      let shape = x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] }
      return [.tensor(lowering.network.reshaped(result, to: shape))]
    }
  }

  private static func softmax(log: Bool) -> Rule {
    Rule { lowering, node throws(SimilarityError) in
      let x = try lowering.tensor(node, 0)
      let isFlat = node.opset < 13
      let axis = try axis(node.integer("axis", default: isFlat ? 1 : -1), rank: x.shape.count, isInclusive: isFlat)
      guard isFlat else { return [.tensor(lowering.network.softmax(x, axis: axis, log: log))] }
      // Before opset 13, over all elements from the axis on.
      let rows = x.shape[..<axis].reduce(1, *)
      let flat = lowering.network.reshaped(x, to: [rows, x.count / rows])
      let result = lowering.network.softmax(flat, axis: 1, log: log)
      return [.tensor(lowering.network.reshaped(result, to: x.shape))]
    }
  }
}
