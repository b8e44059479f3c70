public import ImageSimilarityCore

extension RecordPredicate {
  /// Reads a predicate; see the grammar above.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` with what was expected, and at which character (from 1).
  /// - Complexity: O(length of the text)
  public init(parsing text: String) throws(SimilarityError) {
    var parser = RecordPredicateParser(text)
    self = try parser.parse()
  }
}

/// Recursive descent over Unicode scalars, of bounded depth.
struct RecordPredicateParser {
  private static let depthLimit = 64
  private static let reserved: Set<String> = ["and", "or", "not", "in", "has"]

  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var depth = 0

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  mutating func parse() throws(SimilarityError) -> RecordPredicate {
    let result = try disjunction()
    skipSpace()
    guard position == scalars.count else { throw unexpected("'and', 'or' or the end") }
    return result
  }

  private mutating func disjunction() throws(SimilarityError) -> RecordPredicate {
    var parts = [try conjunction()]
    while take(word: "or") { parts.append(try conjunction()) }
    return .any(parts)
  }

  private mutating func conjunction() throws(SimilarityError) -> RecordPredicate {
    var parts = [try condition()]
    while take(word: "and") { parts.append(try condition()) }
    return .all(parts)
  }

  private mutating func condition() throws(SimilarityError) -> RecordPredicate {
    skipSpace()
    guard depth < Self.depthLimit else { throw unexpected("a condition nested at most \(Self.depthLimit) deep") }
    depth += 1
    defer { depth -= 1 }
    if take(word: "not") { return !(try condition()) }
    if take("(") {
      let inner = try disjunction()
      try expect(")")
      return inner
    }
    if take(word: "has") {
      try expect("(")
      let field = try field()
      try expect(")")
      return field.exists
    }
    return try comparison(of: field())
  }

  private mutating func comparison(of field: RecordField) throws(SimilarityError) -> RecordPredicate {
    if take(word: "in") {
      try expect("(")
      if take(")") { return field.isIn([]) }
      var values: [RecordLiteral] = []
      repeat { values.append(RecordLiteral(try value())) } while take(",")
      guard take(")") else { throw unexpected("',' or ')'") }
      return field.isIn(values)
    }
    if take("~") { return field.matches(try value()) }
    // Longer ones first.
    for (symbol, comparison) in [
      ("==", .equal), ("=", .equal), ("!=", .notEqual), ("<=", .lessOrEqual), ("<", .less), (">=", .greaterOrEqual),
      (">", .greater),
    ] as [(String, RecordPredicate.Comparison)] where take(symbol) {
      return RecordPredicate(.compare(field, comparison, RecordLiteral(try value())))
    }
    throw unexpected("one of = != < <= > >= ~ in")
  }

  // MARK: Words

  private mutating func field() throws(SimilarityError) -> RecordField {
    skipSpace()
    let isQuoted = position < scalars.count && Self.isQuotationMark(scalars[position])
    let first = try key("a field")
    guard !isQuoted else { return RecordField(root: .metadata, keys: try innerKeys([first])) }
    switch first {
    case "id": return .id
    case "path": return .path
    case "label": return .label
    case "metadata":
      let keys = try innerKeys([])
      guard !keys.isEmpty else { throw unexpected("'.' and a key of the metadata") }
      return RecordField(root: .metadata, keys: keys)
    default: return RecordField(root: .metadata, keys: try innerKeys([first]))
    }
  }

  private mutating func innerKeys(_ outer: [String]) throws(SimilarityError) -> [String] {
    var keys = outer
    while position < scalars.count, scalars[position] == "." {
      position += 1
      keys.append(try key("a key"))
    }
    return keys
  }

  private mutating func key(_ what: String) throws(SimilarityError) -> String {
    try text(what) { Self.isWordScalar($0) && $0 != "." }
  }

  private mutating func value() throws(SimilarityError) -> String {
    skipSpace()
    return try text("a value", Self.isWordScalar)
  }

  private mutating func text(
    _ what: String, _ isPart: (Unicode.Scalar) -> Bool
  ) throws(SimilarityError) -> String {
    if position < scalars.count, Self.isQuotationMark(scalars[position]) { return try quotedText() }
    let start = position
    while position < scalars.count, isPart(scalars[position]) { position += 1 }
    let word = string(start..<position)
    if word.isEmpty || Self.reserved.contains(word.lowercased()) {
      position = start
      throw unexpected(word.isEmpty ? what : "\(what), which is quoted where it is '\(word)',")
    }
    return word
  }

  private mutating func quotedText() throws(SimilarityError) -> String {
    let mark = scalars[position]
    position += 1
    var text = String.UnicodeScalarView()
    while position < scalars.count {
      var scalar = scalars[position]
      if scalar == mark {
        position += 1
        return String(text)
      }
      if scalar == "\\" {
        let escapes: [Unicode.Scalar: Unicode.Scalar] = [
          "\\": "\\", "'": "'", "\"": "\"", "n": "\n", "r": "\r", "t": "\t",
        ]
        guard position + 1 < scalars.count, let meaning = escapes[scalars[position + 1]] else {
          throw unexpected("one of the escapes \\\\ \\' \\\" \\n \\r \\t")
        }
        position += 1
        scalar = meaning
      }
      text.append(scalar)
      position += 1
    }
    throw unexpected("the closing \(mark)")
  }

  /// Whether a text is read as one word where a value is expected.
  static func isWord(_ text: String, isKey: Bool) -> Bool {
    !text.isEmpty && !reserved.contains(text.lowercased())
      && text.unicodeScalars.allSatisfy { isWordScalar($0) && !(isKey && $0 == ".") }
  }

  private static func isWordScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "(", ")", ",", "=", "!", "<", ">", "~", "'", "\"", "\\": false
    default: !scalar.properties.isWhitespace && scalar.value >= 0x20
    }
  }

  private static func isQuotationMark(_ scalar: Unicode.Scalar) -> Bool { scalar == "'" || scalar == "\"" }

  // MARK: Scalars

  private mutating func skipSpace() {
    while position < scalars.count, scalars[position].properties.isWhitespace { position += 1 }
  }

  private mutating func take(_ symbol: String) -> Bool {
    skipSpace()
    guard scalars[position...].starts(with: symbol.unicodeScalars) else { return false }
    position += symbol.unicodeScalars.count
    return true
  }

  private mutating func take(word: String) -> Bool {
    skipSpace()
    let end = position + word.unicodeScalars.count
    guard end <= scalars.count, string(position..<end).lowercased() == word,
      end == scalars.count || !Self.isWordScalar(scalars[end])
    else { return false }
    position = end
    return true
  }

  private mutating func expect(_ symbol: String) throws(SimilarityError) {
    if !take(symbol) { throw unexpected("'\(symbol)'") }
  }

  private func string(_ range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range])
    return String(view)
  }

  private func unexpected(_ expected: String) -> SimilarityError {
    let found =
      position < scalars.count
      ? string(position..<min(position + 16, scalars.count)).debugDescription : "the end of the condition"
    return SimilarityError(.invalidArgument, "expected \(expected) at character \(position + 1); found \(found)")
  }
}
