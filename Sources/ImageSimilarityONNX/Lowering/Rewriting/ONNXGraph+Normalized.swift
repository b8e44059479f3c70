internal import ImageSimilarityCore

extension ONNXGraph {
  /// The graph that computes `outputs` with what training and exporters leave behind taken out: constants are evaluated, nodes
  /// that pass their input on are bridged, and known groups of nodes are one node (``Pattern``).
  ///
  /// - Parameter outputs: names that stay, each of them a value of the graph.
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` or ``SimilarityError/Code/weightsCorrupt`` where a constant node breaks
  ///   the rules of its operator.
  func normalized(keeping outputs: [String]) throws(SimilarityError) -> ONNXGraph {
    var graph = reduced(to: outputs)
    try graph.evaluateConstants()
    graph.bridge(keeping: Set(outputs))
    graph.rewrite()
    return graph.reduced(to: outputs)
  }

  /// The graph without the nodes that `outputs` do not depend on.
  func reduced(to outputs: [String]) -> ONNXGraph {
    var needed = Set(outputs)
    var kept: [ONNXNode] = []
    for node in nodes.reversed() where node.outputs.contains(where: { !$0.isEmpty && needed.contains($0) }) {
      needed.formUnion(node.inputs)
      kept.append(node)
    }
    var graph = self
    graph.nodes = kept.reversed()
    graph.initializers = initializers.filter { needed.contains($0.key) }
    return graph
  }

  /// Nodes with constant inputs alone become initializers, as far as there is arithmetic for them.
  private mutating func evaluateConstants() throws(SimilarityError) {
    var kept: [ONNXNode] = []
    for node in nodes {
      guard node.isStandard,
        node.inputs.allSatisfy({ $0.isEmpty || initializers[$0] != nil })
      else {
        kept.append(node)
        continue
      }
      let results: [ONNXTensor]?
      do throws(SimilarityError) {
        results = try ConstantEvaluator.evaluate(node, node.inputs.map { initializers[$0] }, opset: opset)
      } catch {
        throw SimilarityError(error.code, "\(node.description(opset: opset)): \(error.message)")
      }
      guard let results else {
        kept.append(node)
        continue
      }
      for (name, tensor) in zip(node.outputs, results) where !name.isEmpty { initializers[name] = tensor }
    }
    nodes = kept
  }

  /// Takes out nodes whose output is their input.
  private mutating func bridge(keeping outputs: Set<String>) {
    var sources: [String: String] = [:]
    // What shapes are made of may be integers, which a cast changes.
    var known = Set(initializers.keys)
    var kept: [ONNXNode] = []
    for var node in nodes {
      node.inputs = node.inputs.map { sources[$0] ?? $0 }
      let isKnown =
        node.operation == "Shape" || node.operation == "Size"
        || node.inputs.allSatisfy { $0.isEmpty || known.contains($0) }
      if isKnown { known.formUnion(node.outputs) }
      guard !isKnown, node.passesOn, let output = node.outputs.first, !outputs.contains(output) else {
        kept.append(node)
        continue
      }
      sources[output] = node.inputs[0]
    }
    nodes = kept
  }

  private mutating func rewrite() {
    var view = GraphView(self)
    for index in nodes.indices {
      for pattern in Pattern.all {
        guard let node = pattern.replacement(view, nodes[index]) else { continue }
        nodes[index] = node
        view.add(node)
      }
    }
  }
}

extension ONNXNode {
  /// Whether the only output is the first input, of numbers that are computed.
  fileprivate var passesOn: Bool {
    guard isStandard, outputs.dropFirst().allSatisfy(\.isEmpty), inputs.first?.isEmpty == false else { return false }
    switch operation {
    case "Identity": return true
    // In training mode, or where it is computed whether it is, the rule for it says so.
    case "Dropout": return inputs.count < 3
    case "Cast":
      guard case .int(let code) = attributes["to"], let number = Int32(exactly: code) else { return false }
      return ONNXElementType(rawValue: number)?.isFloatingPoint == true
    default: return false
    }
  }
}
