import ImageSimilarityCore

/// A part of a record that a ``RecordPredicate`` looks at.
///
/// ```swift
/// RecordField.label == "cat" && RecordField.metadata("year") >= 2020
/// ```
public struct RecordField: Sendable, Hashable {
  enum Root: Hashable {
    case id, path, label, metadata
  }

  let root: Root
  /// Keys from the metadata inwards; empty for other roots.
  let keys: [String]

  public static let id = RecordField(root: .id, keys: [])
  public static let path = RecordField(root: .path, keys: [])
  public static let label = RecordField(root: .label, keys: [])

  /// An entry of the metadata, or one inside an object there: `metadata("camera", "lens")`.
  public static func metadata(_ key: String, _ inner: String...) -> RecordField {
    RecordField(root: .metadata, keys: [key] + inner)
  }

  /// What the record holds there; nil where that is nothing or null.
  func value(in record: ImageRecord) -> JSONValue? {
    switch root {
    case .id: return .string(record.id)
    case .path: return record.path.map { .string($0) }
    case .label: return record.label.map { .string($0) }
    case .metadata: break
    }
    guard var value = record.metadata?[keys[0]] else { return nil }
    for key in keys.dropFirst() {
      guard case .object(let members) = value, let member = members[key] else { return nil }
      value = member
    }
    return value == .null ? nil : value
  }
}

/// What a field is compared with: a text, which also stands for the number or truth value that it spells.
public struct RecordLiteral: Sendable, Hashable {
  let text: String
  /// Where the text is a finite decimal number.
  let number: Double?

  public init(_ text: String) {
    self.text = text
    let isDecimal = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
    number = isDecimal ? Double(text).flatMap { $0.isFinite ? $0 : nil } : nil
  }

  /// - Precondition: `number` is finite.
  public init(_ number: Double) {
    precondition(number.isFinite, "a record holds finite numbers, and is compared with finite numbers")
    self.init(Self.text(of: number))
  }

  public init(_ truth: Bool) { self.init(truth ? "true" : "false") }

  /// Integers without a fraction.
  static func text(of number: Double) -> String {
    Int64(exactly: number).map { "\($0)" } ?? "\(number)"
  }
}

extension RecordLiteral: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral
{
  public init(stringLiteral value: String) { self.init(value) }
  public init(integerLiteral value: Int) { self.init("\(value)") }
  public init(floatLiteral value: Double) { self.init(value) }
  public init(booleanLiteral value: Bool) { self.init(value) }
}
