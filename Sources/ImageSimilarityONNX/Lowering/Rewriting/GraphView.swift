internal import ImageSimilarityCore

/// A graph by the names of its values, as patterns look at it.
struct GraphView {
  private(set) var nodes: [String: ONNXNode] = [:]
  let initializers: [String: ONNXTensor]

  init(_ graph: ONNXGraph) {
    initializers = graph.initializers
    for node in graph.nodes { add(node) }
  }

  /// Takes the place of nodes with the same outputs.
  mutating func add(_ node: ONNXNode) {
    for name in node.outputs where !name.isEmpty { nodes[name] = node }
  }

  /// The node whose first output is `value`, if it is one of ONNX's own `operations` and has an input.
  func node(_ value: String, _ operations: String...) -> ONNXNode? {
    guard let node = nodes[value], node.isStandard, operations.contains(node.operation), node.outputs.first == value,
      !node.inputs.isEmpty
    else {
      return nil
    }
    return node
  }

  /// The number of a constant with one element.
  func scalar(_ value: String) -> Float? {
    guard let tensor = initializers[value], tensor.elementCount == 1 else { return nil }
    return try? tensor.floats()[0]
  }

  func isScalar(_ value: String, _ expected: Float) -> Bool {
    // Exporters write constants in half precision, too.
    scalar(value).map { abs($0 - expected) <= 1e-3 * abs(expected) } ?? false
  }

  /// The other input of a node with two of them, one of which is this constant.
  func operand(of node: ONNXNode, besides expected: Float) -> String? {
    guard node.inputs.count == 2 else { return nil }
    if isScalar(node.inputs[1], expected) { return node.inputs[0] }
    return isScalar(node.inputs[0], expected) ? node.inputs[1] : nil
  }

  /// `x` of `x * factor`, also written as a division.
  func multiplied(_ value: String, by factor: Float) -> String? {
    if let node = node(value, "Mul") { return operand(of: node, besides: factor) }
    guard let node = node(value, "Div"), node.inputs.count == 2, isScalar(node.inputs[1], 1 / factor) else {
      return nil
    }
    return node.inputs[0]
  }

  /// `x` of `x + constant`.
  func added(_ value: String, _ constant: Float) -> String? {
    node(value, "Add").flatMap { operand(of: $0, besides: constant) }
  }

  /// `x` of `x` to the power of `exponent`, also written as a product.
  func power(_ value: String, _ exponent: Int) -> String? {
    if let node = node(value, "Pow"), node.inputs.count == 2, isScalar(node.inputs[1], Float(exponent)) {
      return node.inputs[0]
    }
    guard let node = node(value, "Mul"), node.inputs.count == 2 else { return nil }
    if exponent == 2 { return node.inputs[0] == node.inputs[1] ? node.inputs[0] : nil }
    for (factor, rest) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])]
    where power(rest, exponent - 1) == factor {
      return factor
    }
    return nil
  }
}
