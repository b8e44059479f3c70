internal import ImageSimilarityKit
internal import SwiftProtobuf

/// The fields of a protobuf message, of which the long ones are made when they are written: lengths stand before contents in
/// the format, so they are known before.
struct MessageStream {
  typealias Producer = (inout AtomicFile) throws(SimilarityError) -> Void

  private enum Part {
    case bytes([UInt8])
    case produced(byteCount: Int, Producer)
  }

  private(set) var byteCount = 0
  private var parts: [Part] = []

  /// Adds the fields of `message`; the same message always gives the same bytes.
  mutating func append(_ message: some Message) {
    var options = BinaryEncodingOptions()
    options.useDeterministicOrdering = true
    do {
      append(try message.serializedBytes(options: options) as [UInt8])
    } catch {
      preconditionFailure("a message without required fields can be encoded: \(error)")
    }
  }

  /// Adds a field that is a message.
  mutating func append(field: Int, _ message: MessageStream) {
    appendHeader(field, message.byteCount)
    parts += message.parts
    byteCount += message.byteCount
  }

  /// Adds a field that is bytes, or packed numbers.
  ///
  /// - Parameter write: Appends exactly `byteCount` bytes to the file; may be called more than once.
  mutating func append(field: Int, byteCount: Int, _ write: @escaping Producer) {
    appendHeader(field, byteCount)
    parts.append(.produced(byteCount: byteCount, write))
    self.byteCount += byteCount
  }

  func write(to file: inout AtomicFile) throws(SimilarityError) {
    for part in parts {
      switch part {
      case .bytes(let bytes):
        try unsafe file.append(bytes.span.bytes)
      case .produced(let byteCount, let write):
        let start = file.length
        try write(&file)
        precondition(
          file.length - start == byteCount, "a field of \(byteCount) bytes does not have \(file.length - start)")
      }
    }
  }

  /// The tag and the length of a field of the wire type 2.
  private mutating func appendHeader(_ field: Int, _ length: Int) {
    append(ProtobufField.header(field, byteCount: length))
  }

  private mutating func append(_ bytes: [UInt8]) {
    parts.append(.bytes(bytes))
    byteCount += bytes.count
  }
}
