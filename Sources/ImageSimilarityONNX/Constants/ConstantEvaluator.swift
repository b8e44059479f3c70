package import ImageSimilarityCore

/// Computes nodes all of whose inputs are constants: the arithmetic of shapes that exported networks are full of.
package enum ConstantEvaluator {
  typealias Rule = @Sendable (OperatorNode, [ConstantTensor?]) throws(SimilarityError) -> [ConstantTensor]

  private static let rules = movingRules.merging(arithmeticRules) { rule, _ in rule }

  /// The outputs of a node.
  ///
  /// - Parameters:
  ///   - node: a node of ONNX's own domain.
  ///   - inputs: as many as `node.inputs`; nil where an optional one is left out.
  ///   - opset: the version of the operators.
  /// - Returns: as many tensors as `node.outputs`; nil where the operator is none that is computed here.
  /// - Throws: ``SimilarityError/Code/weightsCorrupt`` where inputs or attributes break the operator's rules.
  package static func evaluate(
    _ node: ONNXNode, _ inputs: [ONNXTensor?], opset: Int
  ) throws(SimilarityError) -> [ONNXTensor]? {
    let reader = OperatorNode(node: node, opset: opset)
    switch node.operation {
    // These move or describe tensors without looking at elements, which may be of any type.
    case "Identity":
      return inputs.compactMap(\.self)
    case "Constant":
      guard let value = try constant(reader) else { return nil }
      return [value]
    case "Shape":
      return try [shape(reader, required(inputs, 0))]
    case "Size":
      return [ONNXTensor(shape: [], integers: [Int64(try required(inputs, 0).elementCount)])]
    default:
      guard let rule = rules[node.operation] else { return nil }
      // Strings and complex numbers are for nobody.
      guard inputs.allSatisfy({ $0.map { $0.elementType.isFloatingPoint || $0.elementType.isInteger } ?? true }) else {
        return nil
      }
      var constants: [ConstantTensor?] = []
      for input in inputs {
        if let input { constants.append(try ConstantTensor(input)) } else { constants.append(nil) }
      }
      return try rule(reader, constants).map(\.tensor)
    }
  }

  private static func required(_ inputs: [ONNXTensor?], _ index: Int) throws(SimilarityError) -> ONNXTensor {
    guard index < inputs.count, let input = inputs[index] else { throw malformed("its input \(index + 1) is missing") }
    return input
  }

  /// Nil for strings.
  private static func constant(_ node: OperatorNode) throws(SimilarityError) -> ONNXTensor? {
    if case .tensor(let value) = node.node.attributes["value"] { return value }
    if let value = try node.float("value_float") { return ONNXTensor(shape: [], floats: [value]) }
    if let values = try node.floats("value_floats") { return ONNXTensor(shape: [values.count], floats: values) }
    if let value = try node.integer("value_int") { return ONNXTensor(shape: [], integers: [Int64(value)]) }
    if let values = try node.integers("value_ints") {
      return ONNXTensor(shape: [values.count], integers: values.map(Int64.init))
    }
    return nil
  }

  private static func shape(_ node: OperatorNode, _ x: ONNXTensor) throws(SimilarityError) -> ONNXTensor {
    func bound(_ name: String, _ value: Int) throws(SimilarityError) -> Int {
      let given = try node.integer(name, default: value)
      return min(max(given < 0 ? given + x.shape.count : given, 0), x.shape.count)
    }
    let (start, end) = (try bound("start", 0), try bound("end", x.shape.count))
    let sizes = start < end ? Array(x.shape[start..<end]) : []
    return ONNXTensor(shape: [sizes.count], integers: sizes.map(Int64.init))
  }

  static func input(_ inputs: [ConstantTensor?], _ index: Int) throws(SimilarityError) -> ConstantTensor {
    guard index < inputs.count, let input = inputs[index] else { throw malformed("its input \(index + 1) is missing") }
    return input
  }

  /// What an attribute says, or, in later opsets, an input.
  static func list(
    _ node: OperatorNode, _ inputs: [ConstantTensor?], _ index: Int, attribute: String
  ) throws(SimilarityError) -> [Int]? {
    if let given = try node.integers(attribute) { return given }
    guard index < inputs.count, let input = inputs[index] else { return nil }
    return try input.integers()
  }
}
