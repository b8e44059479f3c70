internal import ImageSimilarityCore
internal import ImageSimilarityNN

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Records the layers of a graph's nodes, one after the other.
///
/// Values are known in three ways: as constants, which shapes and limits are made of; as tensors of the network; and as products
/// that are not recorded before it is clear what becomes part of them.
struct Lowering {
  typealias Tensor = NetworkBuilder.Tensor

  enum Value {
    case constant(ONNXTensor)
    case tensor(Tensor)
    case product(Product)

    var shape: [Int] {
      switch self {
      case .constant(let tensor): tensor.shape
      case .tensor(let tensor): tensor.shape
      case .product(let product): product.shape
      }
    }
  }

  var network: NetworkBuilder
  private(set) var weights: LoweredWeights
  private var values: [String: Value] = [:]
  /// Nodes that read an element of each value, and not only its shape; what the caller asked for counts as read.
  private var readers: [String: Int] = [:]
  /// The tensors that constants became.
  private var recordedConstants: [String: Tensor] = [:]
  /// Position of the node that is being lowered.
  private(set) var position = 0
  private var elements = 0
  private var constantElements = 0

  init(inputSize: PixelSize, weights: LoweredWeights) {
    network = NetworkBuilder(inputSize: inputSize)
    self.weights = weights
  }

  // MARK: Graphs

  /// Lowers the nodes that `outputs` depend on.
  ///
  /// - Parameter inputs: the values of the graph's inputs.
  /// - Returns: the values of `outputs`, none of them a product.
  /// - Throws: ``SimilarityError/Code/networkUnsupported``, which names all nodes that cannot be lowered;
  ///   ``SimilarityError/Code/weightsCorrupt`` where the graph breaks the rules of an operator.
  mutating func lower(
    _ graph: ONNXGraph, inputs: [String: Value], outputs: [String]
  ) throws(SimilarityError) -> [String: Value] {
    values = inputs.merging(graph.initializers.mapValues { .constant($0) }) { input, _ in input }
    readers = graph.readers
    for name in outputs { readers[name, default: 0] += 1 }

    var problems = LoweringProblems()
    for (index, node) in graph.nodes.enumerated() {
      position = index
      do throws(SimilarityError) {
        try lower(OperatorNode(node: node, opset: graph.opset))
      } catch {
        problems.add(node, error)
      }
    }
    try problems.throwIfAny(opset: graph.opset)

    var results: [String: Value] = [:]
    for name in outputs {
      guard let value = values[name] else { throw malformed("the graph has no value named '\(name)'") }
      if case .constant = value {
        results[name] = value
      } else {
        results[name] = .tensor(try recorded(value, name: name))
      }
    }
    return results
  }

  /// The graph that was lowered, with constants in place of the nodes that depend on shapes alone; nil where there are none.
  func withKnownConstants(_ graph: ONNXGraph) -> ONNXGraph? {
    var known = graph
    var initializers = graph.initializers
    known.nodes.removeAll { node in
      let constants = node.outputs.compactMap { name -> (String, ONNXTensor)? in
        if case .constant(let tensor) = values[name] { (name, tensor) } else { nil }
      }
      guard constants.count == node.outputs.count else { return false }
      for (name, tensor) in constants { initializers[name] = tensor }
      return true
    }
    known.initializers = initializers
    return known.nodes.count < graph.nodes.count ? known : nil
  }

  private mutating func lower(_ node: OperatorNode) throws(SimilarityError) {
    guard let rule = Operators.rule(for: node.node) else {
      throw unsupported("there is no layer for this operator")
    }
    var constants: [ONNXTensor?] = []
    var known = 0
    for name in node.node.inputs {
      // What comes from a node that is a problem itself is no second problem.
      guard let value = name.isEmpty ? nil : values[name] else {
        if !name.isEmpty { return }
        constants.append(nil)
        known += 1
        continue
      }
      guard case .constant(let tensor) = value else {
        constants.append(nil)
        continue
      }
      constants.append(tensor)
      known += 1
    }
    let results: [Value]
    if known == node.node.inputs.count {
      results = try evaluate(node, constants, rule)
    } else {
      results = try rule.lower(&self, node)
    }

    for (index, name) in node.node.outputs.enumerated() where !name.isEmpty {
      guard index < results.count else {
        guard readers[name, default: 0] == 0 else {
          throw unsupported("its output \(index + 1), '\(name)', is not computed")
        }
        continue
      }
      values[name] = results[index]
      // What has several readers, all of them read as it is.
      if case .product = results[index], readers[name] != 1 {
        values[name] = .tensor(try recorded(results[index], name: name))
      }
    }
    elements += results.reduce(0) { $0 + $1.shape.reduce(1, *) }
    guard elements <= TensorLimits.totalElements else {
      throw unsupported("the network computes more than \(TensorLimits.totalElements) elements for one picture")
    }
  }

  /// The outputs of a node that has constant inputs alone.
  private mutating func evaluate(
    _ node: OperatorNode, _ inputs: [ONNXTensor?], _ rule: Operators.Rule
  ) throws(SimilarityError) -> [Value] {
    if node.node.isStandard, let results = try ConstantEvaluator.evaluate(node.node, inputs, opset: node.opset) {
      constantElements += results.reduce(0) { $0 + $1.elementCount }
      guard constantElements <= TensorLimits.constantElements else {
        throw unsupported("constants of more than \(TensorLimits.constantElements) elements are computed")
      }
      return results.map { .constant($0) }
    }
    // A network of its own.
    var part = Lowering(
      inputSize: PixelSize(width: 1, height: 1), weights: LoweredWeights(name: weights.name, digest: weights.digest))
    for (name, tensor) in zip(node.node.inputs, inputs) {
      if let tensor { part.values[name] = .constant(tensor) }
    }
    var results: [Value] = []
    for (index, value) in try rule.lower(&part, node).enumerated() {
      if case .constant = value {
        results.append(value)
        continue
      }
      let tensor = try part.recorded(value, name: "\(node.name)[\(index)]")
      let vector = part.network.vector([tensor])
      let floats = try NetworkPlan.evaluate(part.network, vector, weights: part.weights, arguments: [])
      results.append(.constant(ONNXTensor(shape: tensor.shape, floats: floats)))
    }
    return results
  }

  // MARK: Inputs of nodes

  /// Nil where the input is left out.
  func value(_ node: OperatorNode, _ index: Int) -> Value? {
    node.has(index) ? values[node.node.inputs[index]] : nil
  }

  func required(_ node: OperatorNode, _ index: Int) throws(SimilarityError) -> Value {
    guard let value = value(node, index) else { throw malformed("its input \(index + 1) is missing") }
    return value
  }

  /// An input as a tensor of the network; constants are part of the weights.
  mutating func tensor(_ node: OperatorNode, _ index: Int) throws(SimilarityError) -> Tensor {
    try recorded(try required(node, index), name: node.node.inputs[index])
  }

  /// An input that has to be known before the network runs.
  func constant(_ node: OperatorNode, _ index: Int) throws(SimilarityError) -> ONNXTensor {
    guard case .constant(let tensor) = try required(node, index) else {
      throw unsupported(
        "its input \(index + 1), '\(node.node.inputs[index])', is expected to be a constant, and is computed")
    }
    return tensor
  }

  /// The elements of an input of integers, or of the attribute that stood for it in earlier opsets; nil where it is left out.
  func integers(_ node: OperatorNode, _ index: Int, or attribute: String? = nil) throws(SimilarityError) -> [Int]? {
    if node.has(index) { return try constant(node, index).integers().map { Int($0) } }
    guard let attribute else { return nil }
    return try node.integers(attribute)
  }

  /// The elements of an input of numbers, or of the attribute that stood for it; nil where it is left out.
  func floats(_ node: OperatorNode, _ index: Int, or attribute: String? = nil) throws(SimilarityError) -> [Float]? {
    if node.has(index) { return try constant(node, index).floats() }
    guard let attribute else { return nil }
    return try node.floats(attribute)
  }

  /// An input of one number, or the attribute that stood for it; nil where it is left out.
  func scalar(_ node: OperatorNode, _ index: Int, or attribute: String? = nil) throws(SimilarityError) -> Float? {
    guard node.has(index) else {
      guard let attribute else { return nil }
      return try node.float(attribute)
    }
    let values = try constant(node, index).floats()
    guard values.count == 1 else {
      throw malformed("its input \(index + 1) is expected to be one number, and has \(values.count)")
    }
    return values[0]
  }

  // MARK: Values

  /// The tensor of a value that is read as it is.
  mutating func recorded(_ value: Value, name: String) throws(SimilarityError) -> Tensor {
    switch value {
    case .tensor(let tensor):
      return tensor
    case .product(let product):
      return product.record(&network, &weights)
    case .constant(let constant):
      if let tensor = recordedConstants[name] { return tensor }
      _ = try TensorLimits.check(constant.shape)
      let tensor = addConstant(name, shape: constant.shape, .tensor(constant))
      recordedConstants[name] = tensor
      return tensor
    }
  }

  /// A tensor of the weights, of numbers that the file does not have in this form.
  mutating func constant(_ name: String, shape: [Int], _ values: [Float]) -> Tensor {
    addConstant(name, shape: shape, .values(values))
  }

  private mutating func addConstant(_ name: String, shape: [Int], _ source: LoweredWeights.Source) -> Tensor {
    var name = name
    while weights.contains(name) { name += "'" }
    weights.add(name, shape: shape, source)
    return network.constant(name, shape: shape)
  }
}

extension ONNXGraph {
  /// How many times nodes read each value's elements.
  var readers: [String: Int] {
    var readers: [String: Int] = [:]
    for node in nodes where node.operation != "Shape" && node.operation != "Size" {
      for name in node.inputs where !name.isEmpty { readers[name, default: 0] += 1 }
    }
    return readers
  }
}
