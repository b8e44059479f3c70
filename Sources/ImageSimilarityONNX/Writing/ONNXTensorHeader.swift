import ImageSimilarityFiles
import SwiftProtobuf

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A constant of a graph that is written, without its elements: they follow as they are, so a file is never in memory.
struct ONNXTensorHeader: Sendable {
  let name: String
  let shape: [Int]
  let type: ONNXElementType
  /// Bytes of the elements.
  let byteCount: Int
  /// What stands before the elements in the graph's message.
  let encoded: [UInt8]

  /// - Precondition: elements of the type have a size.
  init(_ name: String, shape: [Int], _ type: ONNXElementType) {
    guard let size = type.byteCount else { preconditionFailure("elements of type \(type) have no size") }
    self.name = name
    self.shape = shape
    self.type = type
    byteCount = shape.reduce(size, *)

    var tensor = Onnx_TensorProto()
    tensor.name = name
    tensor.dims = shape.map(Int64.init)
    tensor.dataType = type.rawValue
    let fields = tensor.encoded() + ProtobufField.header(9, byteCount: byteCount)  // raw_data
    encoded = ProtobufField.header(5, byteCount: fields.count + byteCount) + fields  // initializer
  }

  /// Bytes of the whole tensor in the graph's message.
  var encodedCount: Int { encoded.count + byteCount }
}

extension SwiftProtobuf.Message {
  /// The message's bytes, where it has no required fields and is far from 2 GiB.
  func encoded() -> [UInt8] {
    do {
      return try serializedBytes()
    } catch {
      preconditionFailure("a message without its tensors can be encoded: \(error)")
    }
  }
}
