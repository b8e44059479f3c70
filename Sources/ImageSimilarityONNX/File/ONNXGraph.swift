/// What a network computes: nodes, which take values by name and give values names. Every name is given once.
///
/// Nodes are in an order in which each comes after those whose outputs it takes.
package struct ONNXGraph: Sendable {
  package var name: String
  /// The version of ONNX's own operators.
  package var opset: Int
  /// What is given when the network runs; constants are in ``initializers``, never here.
  package var inputs: [ONNXValueInfo]
  package var outputs: [ONNXValueInfo]
  package var initializers: [String: ONNXTensor]
  package var nodes: [ONNXNode]

  package init(
    name: String, opset: Int, inputs: [ONNXValueInfo], outputs: [ONNXValueInfo], initializers: [String: ONNXTensor],
    nodes: [ONNXNode]
  ) {
    self.name = name
    self.opset = opset
    self.inputs = inputs
    self.outputs = outputs
    self.initializers = initializers
    self.nodes = nodes
  }
}

/// What a file says of a value.
package struct ONNXValueInfo: Sendable, Hashable {
  package var name: String
  /// Nil where the value is no tensor, or the file does not say.
  package var elementType: ONNXElementType?
  /// Nil where the file does not even tell the number of dimensions.
  package var shape: [ONNXDimension]?

  package init(name: String, elementType: ONNXElementType?, shape: [ONNXDimension]?) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
  }
}

package enum ONNXDimension: Sendable, Hashable {
  /// At least 0.
  case size(Int)
  /// Of any size; the same wherever the symbol occurs.
  case symbol(String)
  case unknown
}

package struct ONNXNode: Sendable {
  /// May be empty, and need not be unique.
  package var name: String
  /// ONNX's `op_type`.
  package var operation: String
  /// Whose operator it is; empty for ONNX's own ones (files may also say `ai.onnx`).
  package var domain: String
  /// Names of values, empty where an optional input is left out.
  package var inputs: [String]
  /// Names of values, empty where an optional output is not wanted.
  package var outputs: [String]
  package var attributes: [String: ONNXAttribute]

  package init(
    name: String, operation: String, domain: String, inputs: [String], outputs: [String],
    attributes: [String: ONNXAttribute] = [:]
  ) {
    self.name = name
    self.operation = operation
    self.domain = domain
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }
}

package enum ONNXAttribute: Sendable {
  case int(Int64)
  case float(Float)
  case string(String)
  case ints([Int64])
  case floats([Float])
  case strings([String])
  case tensor(ONNXTensor)
  /// A kind that is not supported, by ONNX's name for it.
  case other(String)
}
