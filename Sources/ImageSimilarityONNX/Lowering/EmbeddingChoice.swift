internal import ImageSimilarityCore

/// The tensor of a network that serves as an embedding.
struct EmbeddingChoice {
  /// Its name in the file.
  var tensor: String
  /// The value to compute: the tensor, or its real numbers where it is quantised.
  var value: String
  /// Why this one, as the beginning of a sentence.
  var reason: String

  /// What a user asks for.
  init(asked tensor: String) {
    (self.tensor, value) = (tensor, tensor)
    reason = "it was asked for"
  }

  /// The input of the classifier that the graph ends in; its first output where there is none.
  ///
  /// A classifier is a fully connected layer, or a convolution of 1x1, between which and the output are only activations that
  /// make probabilities, changes of shape, a bias and an average over all pixels. Networks without their classifier may end in a
  /// convolution of 1x1, too. Those have many channels, a power of two or a sum of a few; numbers of classes are other ones.
  ///
  /// - Parameter graph: normalised. Gains a node where the classifier's input is quantised.
  init(in graph: inout ONNXGraph) throws(SimilarityError) {
    guard let output = graph.outputs.first?.name else { throw malformed("the graph has no outputs") }
    var producers: [String: ONNXNode] = [:]
    for node in graph.nodes {
      for name in node.outputs where !name.isEmpty { producers[name] = node }
    }

    var value = output
    var (hasPool, isProbability) = (false, false)
    while let node = producers[value] {
      if let classes = Self.classes(of: node, graph, isCertain: isProbability) {
        let input = node.inputs[0]
        let layer = node.operation.hasSuffix("Conv") ? "convolution" : "layer"
        tensor = input
        self.value = Self.dequantized(node, in: &graph)
        reason =
          "it is the input of the classifying \(layer) '\(node.name.isEmpty ? value : node.name)' of \(classes) classes"
        return
      }
      guard let next = Self.source(of: node, graph, hasPool: hasPool) else { break }
      if Self.pools.contains(node.operation) { hasPool = true }
      if ["Softmax", "LogSoftmax", "Sigmoid"].contains(node.operation) { isProbability = true }
      value = next
    }
    (tensor, self.value) = (output, output)
    reason = "the network ends in no classifier, and this is its first output"
  }

  private static let pools: Set = [
    "GlobalAveragePool", "AveragePool", "ReduceMean", "QLinearGlobalAveragePool",
  ]

  /// The classes that a node tells apart, if it may be a classifier.
  private static func classes(of node: ONNXNode, _ graph: ONNXGraph, isCertain: Bool) -> Int? {
    func weights(_ index: Int) -> [Int]? {
      node.inputs.count > index ? graph.initializers[node.inputs[index]]?.shape : nil
    }
    func isTransposed() -> Bool { if case .int(1) = node.attributes["transB"] { true } else { false } }
    switch node.qualifiedOperation {
    case "Gemm":
      guard let shape = weights(1), shape.count == 2 else { return nil }
      return shape[isTransposed() ? 0 : 1]
    case "com.microsoft::QGemm":
      guard let shape = weights(3), shape.count == 2 else { return nil }
      return shape[isTransposed() ? 0 : 1]
    case "MatMul", "QLinearMatMul":
      guard let shape = weights(node.operation == "MatMul" ? 1 : 3), shape.count == 2 else { return nil }
      return shape[1]
    case "Conv", "QLinearConv":
      guard let shape = weights(node.operation == "Conv" ? 1 : 3), shape.count == 4, shape[2] == 1, shape[3] == 1,
        isCertain || shape[0] % 16 != 0
      else { return nil }
      return shape[0]
    default: return nil
    }
  }

  /// The input of a node that may follow a classifier.
  private static func source(of node: ONNXNode, _ graph: ONNXGraph, hasPool: Bool) -> String? {
    switch node.operation {
    case "Softmax", "LogSoftmax", "Sigmoid", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast",
      "Dropout",
      "QuantizeLinear", "DequantizeLinear":
      return node.inputs.first
    case "Relu" where hasPool:
      return node.inputs.first
    case "Add", "Mul", "Div", "Sub":
      // A bias, or a temperature.
      let computed = node.inputs.filter { graph.initializers[$0] == nil }
      return computed.count == 1 && node.inputs.count == 2 ? computed[0] : nil
    case let operation where pools.contains(operation):
      return node.inputs.first
    default: return nil
    }
  }

  /// The name of the real numbers that are a classifier's input.
  private static func dequantized(_ node: ONNXNode, in graph: inout ONNXGraph) -> String {
    guard node.operation.hasPrefix("Q"), node.inputs.count > 2 else { return node.inputs[0] }
    var name = node.inputs[0] + "[real]"
    let known = Set(graph.nodes.flatMap(\.outputs))
    while known.contains(name) || graph.initializers[name] != nil { name += "'" }
    graph.nodes.append(
      ONNXNode(
        name: "", operation: "DequantizeLinear", domain: "", inputs: Array(node.inputs.prefix(3)), outputs: [name],
        attributes: [:]))
    return name
  }
}
