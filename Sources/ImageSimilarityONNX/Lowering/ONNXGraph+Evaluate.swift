package import ImageSimilarityCore
internal import ImageSimilarityNN

extension ONNXGraph {
  /// Computes the graph's outputs once, by the layers that an embedding is computed by.
  ///
  /// Inputs that are floating-point numbers are given to the network when it runs, unless an operator needs to know them before;
  /// so are all others. Each value is computed in single precision.
  ///
  /// - Throws: as ``ONNXNetwork``.
  package func evaluate(_ inputs: [String: ONNXTensor]) throws(SimilarityError) -> [String: ONNXTensor] {
    var graph = self
    var parameters: Set<String> = []
    for node in nodes {
      for index in Operators.rule(for: node)?.constants ?? [] where index < node.inputs.count {
        parameters.insert(node.inputs[index])
      }
    }
    var arguments: [(name: String, tensor: ONNXTensor)] = []
    for input in self.inputs {
      guard let tensor = inputs[input.name] else {
        throw SimilarityError(.invalidArgument, "there is no value for the input '\(input.name)'")
      }
      if tensor.elementType.isFloatingPoint, !parameters.contains(input.name) {
        arguments.append((input.name, tensor))
      } else {
        graph.initializers[input.name] = tensor
      }
    }

    let names = outputs.map(\.name)
    graph = try graph.normalized(keeping: names)
    var lowering = Lowering(
      inputSize: PixelSize(width: 1, height: 1), weights: LoweredWeights(name: name, digest: ""))
    var values: [String: Lowering.Value] = [:]
    var numbers: [[Float]] = []
    for (name, tensor) in arguments {
      let shape = try TensorLimits.check(tensor.shape)
      values[name] = .tensor(lowering.network.argument(shape: shape))
      numbers.append(try tensor.floats())
    }
    let lowered = try lowering.lower(graph, inputs: values, outputs: names)

    var results: [String: ONNXTensor] = [:]
    var computed: [(name: String, tensor: NetworkBuilder.Tensor)] = []
    for name in names {
      switch lowered[name] {
      case .constant(let tensor): results[name] = tensor
      case .tensor(let tensor): computed.append((name, tensor))
      case .product, nil: preconditionFailure("outputs are recorded")
      }
    }
    guard !computed.isEmpty else { return results }
    let vector = lowering.network.vector(computed.map(\.tensor))
    var floats = try NetworkPlan.evaluate(
      lowering.network, vector, weights: lowering.weights, arguments: numbers)[...]
    for (name, tensor) in computed {
      let count = tensor.shape.reduce(1, *)
      results[name] = ONNXTensor(shape: tensor.shape, floats: Array(floats.prefix(count)))
      floats = floats.dropFirst(count)
    }
    return results
  }
}
