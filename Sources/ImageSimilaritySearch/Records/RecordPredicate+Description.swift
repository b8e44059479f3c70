extension RecordPredicate: CustomStringConvertible {
  /// A text that ``init(parsing:)`` reads as the same predicate, unless that is nested too deeply.
  public var description: String { node.text }
}

extension RecordPredicate.Node {
  fileprivate var text: String {
    switch self {
    case .compare(let field, let comparison, let literal):
      "\(field.text) \(comparison.rawValue) \(word(literal.text))"
    case .glob(let field, let glob): "\(field.text) ~ \(word(glob.pattern))"
    case .isIn(let field, let literals): "\(field.text) in (\(literals.map { word($0.text) }.joined(separator: ", ")))"
    case .exists(let field): "has(\(field.text))"
    case .not(let node): "not " + node.operand
    case .all(let nodes): nodes.map(\.operand).joined(separator: " and ")
    case .any(let nodes): nodes.map(\.operand).joined(separator: " or ")
    }
  }

  private var operand: String {
    switch self {
    case .all, .any: "(\(text))"
    default: text
    }
  }
}

extension RecordField {
  fileprivate var text: String {
    switch root {
    case .id: "id"
    case .path: "path"
    case .label: "label"
    case .metadata: (["metadata"] + keys.map { word($0, isKey: true) }).joined(separator: ".")
    }
  }
}

/// `text` as it is, or quoted where it would be read as something else.
private func word(_ text: String, isKey: Bool = false) -> String {
  if RecordPredicateParser.isWord(text, isKey: isKey) { return text }
  var quoted = String.UnicodeScalarView("\"".unicodeScalars)
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\\", "\"": quoted.append(contentsOf: ["\\", scalar])
    case "\n": quoted.append(contentsOf: ["\\", "n"])
    case "\r": quoted.append(contentsOf: ["\\", "r"])
    case "\t": quoted.append(contentsOf: ["\\", "t"])
    default: quoted.append(scalar)
    }
  }
  quoted.append("\"")
  return String(quoted)
}
