import ImageSimilarityCore

extension RecordField {
  /// Whether the record's value satisfies `condition`, or one of its elements where it is an array.
  func holds(_ record: ImageRecord, _ condition: (JSONValue) -> Bool) -> Bool {
    switch value(in: record) {
    case nil: false
    case .array(let elements): elements.contains(where: condition)
    case let value?: condition(value)
    }
  }
}

extension JSONValue {
  func satisfies(_ comparison: RecordPredicate.Comparison, _ literal: RecordLiteral) -> Bool {
    switch self {
    case .string(let text): comparison.holds(text, literal.text)
    case .number(let number): literal.number.map { comparison.holds(number, $0) } ?? false
    case .bool(let truth): comparison == .equal && literal.text == (truth ? "true" : "false")
    case .null, .array, .object: false
    }
  }

  /// What a pattern is matched with.
  var text: String? {
    switch self {
    case .string(let text): text
    case .number(let number): RecordLiteral.text(of: number)
    case .bool(let truth): truth ? "true" : "false"
    case .null, .array, .object: nil
    }
  }
}

extension RecordPredicate.Comparison {
  fileprivate func holds<Value: Comparable>(_ a: Value, _ b: Value) -> Bool {
    switch self {
    case .equal: a == b
    case .notEqual: a != b
    case .less: a < b
    case .lessOrEqual: a <= b
    case .greater: a > b
    case .greaterOrEqual: a >= b
    }
  }
}
