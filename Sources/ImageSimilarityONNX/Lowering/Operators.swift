internal import ImageSimilarityCore

/// The operators that there are rules for.
enum Operators {
  struct Rule: Sendable {
    /// Inputs that have to be constants.
    var constants: Set<Int> = []
    let lower: @Sendable (inout Lowering, OperatorNode) throws(SimilarityError) -> [Lowering.Value]
  }

  /// Nil where there is none.
  static func rule(for node: ONNXNode) -> Rule? { table[node.qualifiedOperation] }

  private static let table: [String: Rule] = [
    unaryRules, binaryRules, selectionRules, shapeRules, convolutionRules, poolRules, linearRules, normalizationRules,
    reductionRules, softmaxRules, resizeRules, paddingRules, quantizationRules,
  ].reduce(into: [:]) { table, rules in
    table.merge(rules) { _, _ in preconditionFailure("each operator has one rule") }
  }
}
