internal import ImageSimilarityCore

/// Reads comma-separated values (RFC 4180): records of fields, which may be quoted and then hold commas, line ends and, doubled,
/// quotation marks. Lines end in CR LF or LF; empty ones are passed over.
struct CSVReader {
  private let bytes: [UInt8]
  private let name: String
  private var position = 0
  private var nextLine = 1
  /// The line in which the last record began, from 1.
  private(set) var line = 0

  init(_ text: String, name: String) {
    bytes = Array(text.utf8)
    self.name = name
    // A byte order mark.
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }
  }

  /// The fields of the next record, or nil at the end.
  mutating func next() throws(SimilarityError) -> [String]? {
    while position < bytes.count, takeLineEnd() {}
    guard position < bytes.count else { return nil }
    line = nextLine
    var fields = [try field()]
    while position < bytes.count, !takeLineEnd() {
      // A field ends at a comma, at a line end or at the end.
      position += 1
      fields.append(try field())
    }
    return fields
  }

  private mutating func field() throws(SimilarityError) -> String {
    guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else {
      let start = position
      while position < bytes.count, !isFieldEnd {
        if bytes[position] == UInt8(ascii: "\"") { throw failure("a field with quotation marks to be quoted") }
        position += 1
      }
      return String(decoding: bytes[start..<position], as: UTF8.self)
    }
    position += 1
    var text: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      if byte == UInt8(ascii: "\"") {
        if position < bytes.count, bytes[position] == UInt8(ascii: "\"") {
          position += 1
        } else {
          guard position == bytes.count || isFieldEnd else { throw failure("a comma after a quoted field") }
          return String(decoding: text, as: UTF8.self)
        }
      }
      if byte == UInt8(ascii: "\n") { nextLine += 1 }
      text.append(byte)
    }
    throw failure("the end of a quoted field")
  }

  private var isFieldEnd: Bool {
    switch bytes[position] {
    case UInt8(ascii: ","), UInt8(ascii: "\n"): true
    case UInt8(ascii: "\r"): position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "\n")
    default: false
    }
  }

  private mutating func takeLineEnd() -> Bool {
    guard isFieldEnd, bytes[position] != UInt8(ascii: ",") else { return false }
    position += bytes[position] == UInt8(ascii: "\r") ? 2 : 1
    nextLine += 1
    return true
  }

  private func failure(_ expected: String) -> SimilarityError {
    SimilarityError(.invalidArgument, "\(name), line \(line): expected \(expected)")
  }
}
