import ImageSimilarityFiles

extension ONNXGraph {
  /// The same graph with each node after those whose outputs it takes; where that is so already, the order stays.
  ///
  /// - Throws: ``FormatFailure`` where a name is given twice, a node takes what nothing gives, or nodes wait for each other.
  /// - Complexity: O(nodes + their inputs and outputs)
  func ordered() throws(FormatFailure) -> ONNXGraph {
    /// Who gives a value: a node, by its index, or nil for an input or an initializer.
    var sources: [String: Int?] = [:]
    for name in initializers.keys { sources.updateValue(nil, forKey: name) }
    for input in inputs {
      guard sources.updateValue(nil, forKey: input.name) == nil else {
        throw FormatFailure("there are two inputs \(quoted(input.name))")
      }
    }
    for (index, node) in nodes.enumerated() {
      for output in node.outputs where !output.isEmpty {
        guard sources.updateValue(index, forKey: output) == nil else {
          throw FormatFailure("\(node.label) gives \(quoted(output)), which is given already")
        }
      }
    }
    for output in outputs where sources[output.name] == nil {
      throw FormatFailure("nothing gives its output \(quoted(output.name))")
    }

    var takers = [[Int]](repeating: [], count: nodes.count)
    var missing = [Int](repeating: 0, count: nodes.count)
    var isOrdered = true
    for (index, node) in nodes.enumerated() {
      for input in node.inputs where !input.isEmpty {
        guard let source = sources[input] else {
          throw FormatFailure("\(node.label) takes \(quoted(input)), which nothing gives")
        }
        guard let source else { continue }
        takers[source].append(index)
        missing[index] += 1
        isOrdered = isOrdered && source < index
      }
    }
    if isOrdered { return self }

    var order = nodes.indices.filter { missing[$0] == 0 }
    var next = 0
    while next < order.count {
      for taker in takers[order[next]] {
        missing[taker] -= 1
        if missing[taker] == 0 { order.append(taker) }
      }
      next += 1
    }
    guard order.count == nodes.count else {
      let waiting = nodes.indices.first { missing[$0] > 0 }.map { nodes[$0].label } ?? ""
      throw FormatFailure("\(waiting) waits for its own output, or for that of a node that does")
    }
    var graph = self
    graph.nodes = order.map { nodes[$0] }
    return graph
  }
}

extension ONNXNode {
  /// The node as messages name it.
  package var label: String { "\(operation) \(quoted(name))" }
}
