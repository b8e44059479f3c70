package import ImageSimilarityCore

/// Computes nodes all of whose inputs are constants: the arithmetic of shapes that exported networks are full of.
package enum ConstantEvaluator {
  /// The outputs of a node.
  ///
  /// - Parameters:
  ///   - node: a node of ONNX's own domain.
  ///   - inputs: as many as `node.inputs`; nil where an optional one is left out.
  ///   - opset: the version of the operators.
  /// - Returns: as many tensors as `node.outputs`; nil where the operator is none that is computed here.
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where inputs or attributes break the operator's rules.
  package static func evaluate(
    _ node: ONNXNode, _ inputs: [ONNXTensor?], opset: Int
  ) throws(SimilarityError) -> [ONNXTensor]? {
    nil
  }
}
