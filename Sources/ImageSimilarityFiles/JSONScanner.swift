/// Reads the pieces of a JSON text (RFC 8259) that a header needs: objects, arrays, strings and non-negative integers.
///
/// The caller asks for what its format allows next, so a text cannot make it recurse.
struct JSONScanner {
  private let bytes: [UInt8]
  private(set) var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// Calls `member` with each name of an object; it reads the member's value.
  mutating func object(
    _ member: (inout JSONScanner, String) throws(FormatFailure) -> Void
  ) throws(FormatFailure) {
    try expect("{")
    if take("}") { return }
    repeat {
      let name = try string()
      try expect(":")
      try member(&self, name)
    } while take(",")
    try expect("}")
  }

  /// Calls `element` where each element of an array begins.
  mutating func array(_ element: (inout JSONScanner) throws(FormatFailure) -> Void) throws(FormatFailure) {
    try expect("[")
    if take("]") { return }
    repeat { try element(&self) } while take(",")
    try expect("]")
  }

  /// An array of at most `limit` integers.
  mutating func integers(limit: Int) throws(FormatFailure) -> [Int] {
    var values: [Int] = []
    try array { scanner throws(FormatFailure) in
      values.append(try scanner.integer())
      if values.count > limit { throw scanner.unexpected("at most \(limit) numbers", at: scanner.position) }
    }
    return values
  }

  /// An integer from 0 to `Int.max`, without sign, fraction and exponent.
  mutating func integer() throws(FormatFailure) -> Int {
    skipSpace()
    let start = position
    while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    let digits = bytes[start..<position]
    let isFollowed = position < bytes.count && ".eE".utf8.contains(bytes[position])
    guard !digits.isEmpty, !isFollowed, digits.count == 1 || digits.first != UInt8(ascii: "0"),
      let value = Int(String(decoding: digits, as: UTF8.self))
    else { throw unexpected("a non-negative integer of at most 63 bits", at: start) }
    return value
  }

  mutating func string() throws(FormatFailure) -> String {
    try expect("\"")
    let start = position
    var decoded: [UInt8] = []
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: decoded, as: UTF8.self) else { throw unexpected("UTF-8", at: start) }
        return string
      case UInt8(ascii: "\\"): try escape(into: &decoded)
      case 0..<0x20: throw unexpected("no control character in a string", at: position - 1)
      default: decoded.append(byte)
      }
    }
    throw unexpected("the end of a string", at: position)
  }

  /// Checks that nothing but white space is left.
  mutating func end() throws(FormatFailure) {
    skipSpace()
    if position < bytes.count { throw unexpected("the end of the text", at: position) }
  }

  private mutating func escape(into decoded: inout [UInt8]) throws(FormatFailure) {
    let start = position - 1
    guard position < bytes.count else { throw unexpected("the end of a string", at: position) }
    position += 1
    switch bytes[position - 1] {
    case UInt8(ascii: "\""): decoded.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): decoded.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "/"): decoded.append(UInt8(ascii: "/"))
    case UInt8(ascii: "b"): decoded.append(0x08)
    case UInt8(ascii: "f"): decoded.append(0x0c)
    case UInt8(ascii: "n"): decoded.append(0x0a)
    case UInt8(ascii: "r"): decoded.append(0x0d)
    case UInt8(ascii: "t"): decoded.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal(from: start)
      if 0xd800..<0xdc00 ~= code, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        let low = try hexadecimal(from: start)
        guard 0xdc00..<0xe000 ~= low else { throw unexpected("a pair of surrogates", at: start) }
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw unexpected("a pair of surrogates", at: start) }
      decoded.append(contentsOf: String(scalar).utf8)
    default: throw unexpected("an escape sequence", at: start)
    }
  }

  private mutating func hexadecimal(from start: Int) throws(FormatFailure) -> UInt32 {
    guard position + 4 <= bytes.count, bytes[position..<position + 4].allSatisfy({ isHexadecimal($0) }),
      let value = UInt32(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw unexpected("four hexadecimal digits", at: start) }
    position += 4
    return value
  }

  private func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }

  private func isHexadecimal(_ byte: UInt8) -> Bool {
    isDigit(byte) || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte | 0x20
  }

  private mutating func skipSpace() {
    while position < bytes.count, " \n\r\t".utf8.contains(bytes[position]) { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(FormatFailure) {
    if !take(character) { throw unexpected("'\(character)'", at: position) }
  }

  private func unexpected(_ expected: String, at position: Int) -> FormatFailure {
    let found =
      position < bytes.count
      ? quoted(String(decoding: bytes[position..<min(position + 16, bytes.count)], as: UTF8.self))
      : "the end of the text"
    return FormatFailure("expected \(expected) at byte \(position) of its JSON text; found \(found)")
  }
}
