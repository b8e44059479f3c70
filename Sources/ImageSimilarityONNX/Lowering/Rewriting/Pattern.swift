internal import ImageSimilarityCore

/// A group of nodes that is one operator: what exporters write where an opset has no operator for it.
struct Pattern: Sendable {
  let name: String
  /// The one node that gives the last node's output; nil where the pattern does not end in that node.
  let replacement: @Sendable (GraphView, ONNXNode) -> ONNXNode?

  /// Those that others consist of come first.
  static let all: [Pattern] = [
    erfGelu, tanhGelu, swish, mish, hardSigmoid, hardSwish, layerNormalization, scaledLayerNormalization,
    shiftedLayerNormalization, paddedConvolution,
  ]
}

extension ONNXNode {
  func replaced(
    by operation: String, inputs: [String], attributes: [String: ONNXAttribute] = [:]
  ) -> ONNXNode {
    ONNXNode(name: name, operation: operation, domain: "", inputs: inputs, outputs: outputs, attributes: attributes)
  }

  var isProduct: Bool { isStandard && operation == "Mul" && inputs.count == 2 }
}
