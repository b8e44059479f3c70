#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

/// The order of tensors in a safetensors file, and so its header. The same tensors give the same bytes.
package struct SafetensorsLayout {
  private var members: [String] = []
  /// Number of bytes of all tensors so far.
  package private(set) var byteCount = 0

  package init(metadata: [String: String] = [:]) {
    if metadata.isEmpty { return }
    let pairs = metadata.sorted { $0.key < $1.key }.map { "\(jsonString($0.key)):\(jsonString($0.value))" }
    members.append("\"\(SafetensorsHeader.metadataName)\":{\(pairs.joined(separator: ","))}")
  }

  /// The next tensor, which begins where the one before it ends.
  ///
  /// - Precondition: the size of the type's elements is known, and no other tensor has the name.
  package mutating func add(_ name: String, _ type: SafetensorsFile.ElementType, shape: [Int]) {
    guard let size = type.byteCount else { preconditionFailure("the size of an element of type \(type) is not known") }
    let end = byteCount + shape.reduce(size, *)
    members.append(
      "\(jsonString(name)):{\"dtype\":\"\(type)\",\"shape\":[\(shape.map(String.init).joined(separator: ","))],"
        + "\"data_offsets\":[\(byteCount),\(end)]}")
    byteCount = end
  }

  /// The header's length and the header, padded with spaces to a multiple of 64 bytes.
  package var header: Data {
    var text = Data("{\(members.joined(separator: ","))}".utf8)
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (64 - (8 + text.count) % 64) % 64))
    return unsafe withUnsafeBytes(of: UInt64(text.count).littleEndian) { unsafe Data($0) } + text
  }
}

/// A JSON string (RFC 8259) of a text.
private func jsonString(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\u{0}"..."\u{1f}":
      let digits = String(scalar.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
