import Foundation
import Testing

/// A protobuf message as its bytes say it, by the numbers of its fields: knows nothing of this package's schema.
struct WireMessage {
  private enum Value {
    case number(UInt64)
    case bytes(Data)
  }

  private var fields: [Int: [Value]] = [:]

  init(_ data: Data) throws {
    var rest = data[...]
    func byte() throws -> UInt8 {
      guard let byte = rest.popFirst() else { throw Malformed() }
      return byte
    }
    func varint() throws -> UInt64 {
      var value: UInt64 = 0
      for shift in stride(from: 0, to: 64, by: 7) {
        let next = try byte()
        value |= UInt64(next & 0x7f) << shift
        if next < 0x80 { return value }
      }
      throw Malformed()
    }
    func bytes(_ count: UInt64) throws -> Data {
      let count = try #require(Int(exactly: count))
      try #require(count <= rest.count)
      defer { rest = rest.dropFirst(count) }
      return Data(rest.prefix(count))
    }
    while !rest.isEmpty {
      let tag = try varint()
      let value: Value
      switch tag & 7 {
      case 0: value = .number(try varint())
      case 2: value = .bytes(try bytes(varint()))
      case 5: value = .bytes(try bytes(4))
      default: throw Malformed()
      }
      fields[Int(tag >> 3), default: []].append(value)
    }
  }

  struct Malformed: Error {}

  func has(_ field: Int) -> Bool { fields[field] != nil }

  /// The last one counts, as protobuf has it.
  private func last(_ field: Int) -> Value? { fields[field]?.last }

  func integer(_ field: Int) -> Int {
    if case .number(let number)? = last(field) { Int(bitPattern: UInt(number)) } else { 0 }
  }

  func data(_ field: Int) -> Data {
    if case .bytes(let data)? = last(field) { data } else { Data() }
  }

  func string(_ field: Int) -> String { String(decoding: data(field), as: UTF8.self) }
  func strings(_ field: Int) -> [String] { all(field).map { String(decoding: $0, as: UTF8.self) } }
  func message(_ field: Int) throws -> WireMessage { try WireMessage(data(field)) }
  func messages(_ field: Int) throws -> [WireMessage] { try all(field).map(WireMessage.init) }

  private func all(_ field: Int) -> [Data] {
    (fields[field] ?? []).compactMap { if case .bytes(let data) = $0 { data } else { nil } }
  }

  func float(_ field: Int) -> Float { floats(field).last ?? 0 }

  /// Packed.
  func floats(_ field: Int) -> [Float] {
    let data = data(field)
    return stride(from: 0, to: data.count, by: 4).map { start in
      Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(data[start + $1]) << (8 * $1) })
    }
  }

  /// Packed.
  func integers(_ field: Int) -> [Int] {
    var integers: [Int] = []
    var (value, shift) = (0, 0)
    for byte in data(field) {
      value |= Int(byte & 0x7f) << shift
      shift += 7
      if byte < 0x80 {
        integers.append(value)
        (value, shift) = (0, 0)
      }
    }
    return integers
  }

  /// A map of strings.
  func map(_ field: Int) throws -> [String: String] {
    Dictionary(uniqueKeysWithValues: try messages(field).map { ($0.string(1), $0.string(2)) })
  }
}
