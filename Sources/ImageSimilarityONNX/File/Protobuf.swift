import ImageSimilarityCore
import ImageSimilarityFiles
import SwiftProtobuf

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension Message {
  /// Decodes a whole file. Fields that the schema does not have are skipped.
  ///
  /// - Throws: ``SimilarityError/Code/weightsCorrupt``.
  init(reading file: MappedFile) throws(SimilarityError) {
    var options = BinaryDecodingOptions()
    options.discardUnknownFields = true
    do {
      self = try unsafe Self.decode(file.bytes, options)
    } catch {
      throw SimilarityError(
        .weightsCorrupt,
        "\(file.name) is not a valid ONNX file: its \(file.count) bytes are no protobuf message of the kind")
    }
  }

  /// The bytes are not copied; the message's own fields are.
  private static func decode(_ bytes: UnsafeRawBufferPointer, _ options: BinaryDecodingOptions) throws -> Self {
    guard let start = bytes.baseAddress else { return Self() }
    let data = unsafe Data(
      bytesNoCopy: UnsafeMutableRawPointer(mutating: start), count: bytes.count, deallocator: .none)
    return try Self(serializedBytes: data, options: options)
  }
}
