/// The beginning of a protobuf field whose contents follow (wire type 2): a message, a string or bytes.
package enum ProtobufField {
  package static func header(_ number: Int, byteCount: Int) -> [UInt8] {
    varint(UInt64(number) << 3 | 2) + varint(UInt64(byteCount))
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var value = value
    var bytes: [UInt8] = []
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    return bytes + [UInt8(value)]
  }
}
