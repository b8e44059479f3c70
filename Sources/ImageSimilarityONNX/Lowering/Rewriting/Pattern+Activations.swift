internal import ImageSimilarityCore

extension Pattern {
  /// The two factors of a product, in both orders.
  private static func factors(_ node: ONNXNode) -> [(String, String)] {
    node.isProduct ? [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] : []
  }

  /// The three factors of `x * gate * 0.5` in any order, as pairs of x and gate.
  private static func halved(_ graph: GraphView, _ node: ONNXNode) -> [(x: String, gate: String)] {
    var pairs: [(x: String, gate: String)] = []
    for (a, b) in factors(node) {
      if graph.isScalar(a, 0.5), let product = graph.node(b, "Mul") {
        for (x, gate) in factors(product) { pairs.append((x, gate)) }
      }
      if let half = graph.multiplied(b, by: 0.5) {
        pairs.append((a, half))
        pairs.append((half, a))
      }
    }
    return pairs
  }

  /// `x / 2 * (1 + erf(x / sqrt(2)))`
  static let erfGelu = Pattern(name: "Gelu") { graph, node in
    for (x, gate) in halved(graph, node) {
      if let value = graph.added(gate, 1), let erf = graph.node(value, "Erf"),
        graph.multiplied(erf.inputs[0], by: Float(0.5).squareRoot()) == x
      {
        return node.replaced(by: "Gelu", inputs: [x])
      }
    }
    return nil
  }

  /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`
  static let tanhGelu = Pattern(name: "Gelu by tanh") { graph, node in
    for (x, gate) in halved(graph, node) {
      if let value = graph.added(gate, 1), let tanh = graph.node(value, "Tanh"),
        let inner = graph.multiplied(tanh.inputs[0], by: (2 / Float.pi).squareRoot()),
        let sum = graph.node(inner, "Add"), sum.inputs.count == 2
      {
        for (a, cubic) in [(sum.inputs[0], sum.inputs[1]), (sum.inputs[1], sum.inputs[0])]
        where a == x && graph.multiplied(cubic, by: 0.044715).flatMap({ graph.power($0, 3) }) == x {
          return node.replaced(by: "Gelu", inputs: [x], attributes: ["approximate": .string("tanh")])
        }
      }
    }
    return nil
  }

  /// `x * sigmoid(x)`
  static let swish = Pattern(name: "Swish") { graph, node in
    for (x, gate) in factors(node) {
      if let sigmoid = graph.node(gate, "Sigmoid"), sigmoid.inputs[0] == x {
        return node.replaced(by: "Swish", inputs: [x])
      }
    }
    return nil
  }

  /// `x * tanh(softplus(x))`
  static let mish = Pattern(name: "Mish") { graph, node in
    for (x, gate) in factors(node) {
      if let tanh = graph.node(gate, "Tanh"), let softplus = graph.node(tanh.inputs[0], "Softplus"),
        softplus.inputs[0] == x
      {
        return node.replaced(by: "Mish", inputs: [x])
      }
    }
    return nil
  }

  /// `x` of `min(max(x + 3, 0), 6)`
  private static func hardGate(_ graph: GraphView, _ value: String) -> String? {
    guard let clip = graph.node(value, "Clip") else { return nil }
    func limit(_ index: Int, _ name: String) -> Float? {
      if clip.inputs.count > index { return graph.scalar(clip.inputs[index]) }
      guard case .float(let limit) = clip.attributes[name] else { return nil }
      return limit
    }
    guard limit(1, "min") == 0, limit(2, "max") == 6 else { return nil }
    return graph.added(clip.inputs[0], 3)
  }

  /// `min(max(x + 3, 0), 6) / 6`
  static let hardSigmoid = Pattern(name: "HardSigmoid") { graph, node in
    guard let scaled = graph.multiplied(node.outputs[0], by: 1 / 6), let x = hardGate(graph, scaled) else { return nil }
    return node.replaced(
      by: "HardSigmoid", inputs: [x], attributes: ["alpha": .float(1 / 6), "beta": .float(0.5)])
  }

  /// `x * min(max(x + 3, 0), 6) / 6`
  static let hardSwish = Pattern(name: "HardSwish") { graph, node in
    for (x, gate) in factors(node) {
      guard let hard = graph.node(gate, "HardSigmoid"), hard.inputs[0] == x,
        case .float(let alpha) = hard.attributes["alpha"], abs(alpha - 1 / 6) < 1e-3
      else { continue }
      if case .float(let beta) = hard.attributes["beta"], beta != 0.5 { continue }
      return node.replaced(by: "HardSwish", inputs: [x])
    }
    if let scaled = graph.multiplied(node.outputs[0], by: 1 / 6), let product = graph.node(scaled, "Mul") {
      for (x, gate) in factors(product) where hardGate(graph, gate) == x {
        return node.replaced(by: "HardSwish", inputs: [x])
      }
    }
    return nil
  }
}
