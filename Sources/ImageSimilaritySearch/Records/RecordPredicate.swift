/// A condition on records: which pictures a search may return.
///
/// ```swift
/// let cats = try RecordPredicate(parsing: "label = cat and metadata.year >= 2020")
/// let same = RecordField.label == "cat" && RecordField.metadata("year") >= 2020
/// ```
///
/// ## Fields and values
/// What the record holds decides how it is compared. A number is compared as a number, with values that spell one; a truth value
/// equals `true` or `false`; a text is compared as text, by `String`'s order. An array satisfies a comparison if one of its elements
/// does. An object satisfies none.
///
/// A field that is missing or null satisfies no comparison. `!=` is the opposite of `=`, so it holds for a missing field; `has(label)
/// and label != cat` leaves those out.
///
/// ## Grammar
/// ```
/// predicate   = conjunction ("or" conjunction)*
/// conjunction = condition ("and" condition)*
/// condition   = "not" condition | "(" predicate ")" | "has" "(" field ")"
///             | field ("=" | "!=" | "<" | "<=" | ">" | ">=" | "~") value
///             | field "in" "(" [value ("," value)*] ")"
/// field       = "id" | "path" | "label" | "metadata" ("." key)+ | key ("." key)*
/// ```
/// A field of another name is short for one of the metadata: `year` for `metadata.year`. `~` takes a pattern for the whole text:
/// `*` stands for any characters, `?` for one. `==` is `=`. Keys and values are words or are quoted, `'...'` or `"..."`, with the
/// escapes `\\ \' \" \n \r \t`; a word holds no white space, quotation marks, commas, parentheses or `= ! < > ~`, a key no full stop
/// either. The words `and`, `or`, `not`, `in` and `has`, in small or capital letters, are quoted where they are keys or values.
/// Conditions are nested up to 64 deep.
public struct RecordPredicate: Sendable, Hashable {
  indirect enum Node: Sendable, Hashable {
    case compare(RecordField, Comparison, RecordLiteral)
    case glob(RecordField, Glob)
    case isIn(RecordField, [RecordLiteral])
    case exists(RecordField)
    case not(Node)
    /// At least two, none of them `all`.
    case all([Node])
    /// At least two, none of them `any`.
    case any([Node])
  }

  enum Comparison: String, Sendable {
    case equal = "="
    case notEqual = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
  }

  let node: Node

  init(_ node: Node) { self.node = node }

  /// - Complexity: O(size of the predicate * length of the values compared)
  public func matches(_ record: ImageRecord) -> Bool { node.matches(record) }
}

extension RecordPredicate.Node {
  fileprivate func matches(_ record: ImageRecord) -> Bool {
    switch self {
    case .compare(let field, .notEqual, let literal):
      !field.holds(record) { $0.satisfies(.equal, literal) }
    case .compare(let field, let comparison, let literal):
      field.holds(record) { $0.satisfies(comparison, literal) }
    case .glob(let field, let glob):
      field.holds(record) { value in value.text.map(glob.matches) ?? false }
    case .isIn(let field, let literals):
      field.holds(record) { value in literals.contains { value.satisfies(.equal, $0) } }
    case .exists(let field):
      field.value(in: record) != nil
    case .not(let node): !node.matches(record)
    case .all(let nodes): nodes.allSatisfy { $0.matches(record) }
    case .any(let nodes): nodes.contains { $0.matches(record) }
    }
  }
}

// MARK: - In code

extension RecordField {
  public static func == (field: RecordField, value: RecordLiteral) -> RecordPredicate { field.compared(.equal, value) }
  public static func != (field: RecordField, value: RecordLiteral) -> RecordPredicate {
    field.compared(.notEqual, value)
  }
  public static func < (field: RecordField, value: RecordLiteral) -> RecordPredicate { field.compared(.less, value) }
  public static func <= (field: RecordField, value: RecordLiteral) -> RecordPredicate {
    field.compared(.lessOrEqual, value)
  }
  public static func > (field: RecordField, value: RecordLiteral) -> RecordPredicate { field.compared(.greater, value) }
  public static func >= (field: RecordField, value: RecordLiteral) -> RecordPredicate {
    field.compared(.greaterOrEqual, value)
  }

  /// Whether the whole text matches a pattern of `*`, any characters, and `?`, one.
  public func matches(_ pattern: String) -> RecordPredicate { RecordPredicate(.glob(self, Glob(pattern))) }

  /// Whether the field equals one of `values`.
  public func isIn(_ values: [RecordLiteral]) -> RecordPredicate { RecordPredicate(.isIn(self, values)) }

  /// Whether there is something other than null.
  public var exists: RecordPredicate { RecordPredicate(.exists(self)) }

  private func compared(_ comparison: RecordPredicate.Comparison, _ value: RecordLiteral) -> RecordPredicate {
    RecordPredicate(.compare(self, comparison, value))
  }
}

extension RecordPredicate {
  public static func && (a: RecordPredicate, b: RecordPredicate) -> RecordPredicate { .all([a, b]) }
  public static func || (a: RecordPredicate, b: RecordPredicate) -> RecordPredicate { .any([a, b]) }
  public static prefix func ! (a: RecordPredicate) -> RecordPredicate { RecordPredicate(.not(a.node)) }

  static func all(_ parts: [RecordPredicate]) -> RecordPredicate {
    if parts.count == 1 { return parts[0] }
    return RecordPredicate(
      .all(
        parts.flatMap { part in
          if case .all(let nodes) = part.node { nodes } else { [part.node] }
        }))
  }

  static func any(_ parts: [RecordPredicate]) -> RecordPredicate {
    if parts.count == 1 { return parts[0] }
    return RecordPredicate(
      .any(
        parts.flatMap { part in
          if case .any(let nodes) = part.node { nodes } else { [part.node] }
        }))
  }
}
