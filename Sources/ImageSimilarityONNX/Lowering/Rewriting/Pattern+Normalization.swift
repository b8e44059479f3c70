internal import ImageSimilarityCore

extension Pattern {
  /// `(x - mean) / sqrt(mean((x - mean)^2) + epsilon)` over the last axis.
  static let layerNormalization = Pattern(name: "LayerNormalization") { graph, node in
    guard node.isStandard, node.operation == "Div", node.inputs.count == 2,
      let difference = graph.node(node.inputs[0], "Sub"), difference.inputs.count == 2,
      let mean = lastMean(graph, difference.inputs[1]), mean == difference.inputs[0],
      let root = deviation(graph, node.inputs[1]), let sum = graph.node(root, "Add"), sum.inputs.count == 2
    else { return nil }
    for (value, constant) in [(sum.inputs[0], sum.inputs[1]), (sum.inputs[1], sum.inputs[0])] {
      guard let epsilon = graph.scalar(constant), let square = lastMean(graph, value),
        let squared = graph.power(square, 2)
      else { continue }
      // Exporters may write the difference twice.
      let again = graph.node(squared, "Sub")
      guard squared == node.inputs[0] || again?.inputs == difference.inputs else { continue }
      return node.replaced(
        by: "LayerNormalization", inputs: [mean, "", ""], attributes: ["axis": .int(-1), "epsilon": .float(epsilon)])
    }
    return nil
  }

  /// `x` of a square root.
  private static func deviation(_ graph: GraphView, _ value: String) -> String? {
    if let root = graph.node(value, "Sqrt") { return root.inputs[0] }
    guard let power = graph.node(value, "Pow"), power.inputs.count == 2, graph.isScalar(power.inputs[1], 0.5) else {
      return nil
    }
    return power.inputs[0]
  }

  /// `x` of the mean over the last axis, which is kept.
  private static func lastMean(_ graph: GraphView, _ value: String) -> String? {
    guard let mean = graph.node(value, "ReduceMean") else { return nil }
    if case .int(let keeps) = mean.attributes["keepdims"], keeps != 1 { return nil }
    if case .ints(let axes) = mean.attributes["axes"] { return axes == [-1] ? mean.inputs[0] : nil }
    guard mean.inputs.count > 1, let axes = graph.initializers[mean.inputs[1]], (try? axes.integers()) == [-1] else {
      return nil
    }
    return mean.inputs[0]
  }

  /// A normalisation without `terms` inputs, and the constant vector that it is combined with.
  private static func normalization(
    _ graph: GraphView, _ node: ONNXNode, _ operation: String, without input: Int
  ) -> (ONNXNode, String)? {
    guard node.isStandard, node.operation == operation, node.inputs.count == 2 else { return nil }
    for (value, constant) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
      guard let normalization = graph.node(value, "LayerNormalization"), normalization.inputs.count == 3,
        normalization.outputs.count == 1, normalization.inputs[input].isEmpty,
        let tensor = graph.initializers[constant], tensor.shape.count == 1
      else { continue }
      return (normalization, constant)
    }
    return nil
  }

  /// A normalisation and its scale.
  static let scaledLayerNormalization = Pattern(name: "LayerNormalization with scale") { graph, node in
    // A scale after a shift would have to scale that, too.
    guard let (normalization, scale) = normalization(graph, node, "Mul", without: 1), normalization.inputs[2].isEmpty
    else { return nil }
    return node.replaced(
      by: "LayerNormalization", inputs: [normalization.inputs[0], scale, ""], attributes: normalization.attributes)
  }

  /// A normalisation and its shift.
  static let shiftedLayerNormalization = Pattern(name: "LayerNormalization with shift") { graph, node in
    guard let (normalization, shift) = normalization(graph, node, "Add", without: 2) else { return nil }
    return node.replaced(
      by: "LayerNormalization", inputs: [normalization.inputs[0], normalization.inputs[1], shift],
      attributes: normalization.attributes)
  }

  /// Zeros around a map, and a convolution without padding of its own.
  static let paddedConvolution = Pattern(name: "Conv with padding") { graph, node in
    guard node.isStandard, node.operation == "Conv", let input = node.inputs.first,
      let pad = graph.node(input, "Pad"), let pads = zeroPads(graph, pad)
    else { return nil }
    if case .string(let automatic) = node.attributes["auto_pad"], automatic != "NOTSET" { return nil }
    let rank = pads.count / 2
    guard rank > 2, [0, 1, rank, rank + 1].allSatisfy({ pads[$0] == 0 }),
      pads.allSatisfy({ $0 >= 0 && $0 <= Int64(TensorLimits.window) })
    else { return nil }
    var sum = Array(pads[2..<rank] + pads[(rank + 2)...])
    if case .ints(let own) = node.attributes["pads"] {
      guard own.count == sum.count, own.allSatisfy({ $0 >= 0 && $0 <= Int64(TensorLimits.window) }) else { return nil }
      sum = zip(sum, own).map { $0 + $1 }
    }
    var convolution = node
    convolution.inputs[0] = pad.inputs[0]
    convolution.attributes["pads"] = .ints(sum)
    return convolution
  }

  /// The pads of a node that adds zeros; nil where that is not known.
  private static func zeroPads(_ graph: GraphView, _ pad: ONNXNode) -> [Int64]? {
    if case .string(let mode) = pad.attributes["mode"], mode != "constant" { return nil }
    if case .float(let value) = pad.attributes["value"], value != 0 { return nil }
    if pad.inputs.count > 2, !pad.inputs[2].isEmpty, graph.scalar(pad.inputs[2]) != 0 { return nil }
    if pad.inputs.count > 3, !pad.inputs[3].isEmpty { return nil }
    if case .ints(let pads) = pad.attributes["pads"] { return pads }
    guard pad.inputs.count > 1, let pads = graph.initializers[pad.inputs[1]] else { return nil }
    return try? pads.integers()
  }
}
