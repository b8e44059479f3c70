public import ImageSimilarityCore

extension SimilarityError.Code {
  /// A network does what this version does not compute: an operator, an attribute of one, or a shape.
  public static let networkUnsupported = SimilarityError.Code(rawValue: "network-unsupported")
}

/// The network is well-formed, but needs what there is no layer for.
func unsupported(_ reason: String) -> SimilarityError { SimilarityError(.networkUnsupported, reason) }

/// The network breaks the rules of its operators.
func malformed(_ reason: String) -> SimilarityError { SimilarityError(.weightsCorrupt, reason) }

/// Nodes that cannot be lowered, gathered so that all are named at once.
struct LoweringProblems {
  private struct Entry {
    var node: ONNXNode
    var error: SimilarityError
  }

  private var entries: [Entry] = []
  /// Nodes that a message names.
  private static let shown = 20

  mutating func add(_ node: ONNXNode, _ error: SimilarityError) { entries.append(Entry(node: node, error: error)) }

  /// Throws where there is a problem: a damaged network before one that is not supported.
  func throwIfAny(opset: Int) throws(SimilarityError) {
    guard let first = entries.first else { return }
    let damaged = entries.filter { $0.error.code != .networkUnsupported }
    if let entry = damaged.first {
      throw SimilarityError(entry.error.code, line(entry, opset: opset))
    }
    guard entries.count > 1 else { throw unsupported(line(first, opset: opset)) }
    var message = "\(entries.count) nodes are not supported: "
    message += entries.prefix(Self.shown).map { line($0, opset: opset) }.joined(separator: "; ")
    if entries.count > Self.shown { message += "; and \(entries.count - Self.shown) more" }
    throw unsupported(message)
  }

  private func line(_ entry: Entry, opset: Int) -> String {
    "\(entry.node.description(opset: opset)): \(entry.error.message)"
  }
}

extension ONNXNode {
  /// ONNX's own domain has two spellings.
  var isStandard: Bool { domain.isEmpty || domain == "ai.onnx" }

  /// The operator with its domain, where it is not ONNX's own.
  var qualifiedOperation: String { isStandard ? operation : "\(domain)::\(operation)" }

  /// For messages: the node, its operator and the operator's version.
  func description(opset: Int) -> String {
    let output = outputs.first { !$0.isEmpty } ?? ""
    let title = name.isEmpty ? "the node that computes '\(output)'" : "node '\(name)'"
    return "\(title) (\(qualifiedOperation)\(isStandard ? ", opset \(opset)" : ""))"
  }
}
