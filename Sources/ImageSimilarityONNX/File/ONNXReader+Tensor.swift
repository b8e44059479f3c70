package import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

extension ONNXReader {
  /// More dimensions than any network has.
  private static var rankLimit: Int { 32 }

  mutating func tensor(_ proto: Onnx_TensorProto) throws(SimilarityError) -> ONNXTensor {
    let label = "tensor \(quoted(proto.name))"
    guard let type = ONNXElementType(rawValue: proto.dataType) else {
      throw unsupported("\(label) with elements of type \(proto.dataType)")
    }
    guard proto.dims.count <= Self.rankLimit else {
      throw corrupt("\(label) has \(proto.dims.count) dimensions; expected at most \(Self.rankLimit)")
    }
    let shape = proto.dims.compactMap { $0 < 0 ? nil : Int(exactly: $0) }
    guard shape.count == proto.dims.count, let count = elementCount(ofShape: shape) else {
      throw corrupt("\(label) has the shape \(proto.dims)")
    }
    guard !proto.hasSegment else { throw unsupported("\(label), which is stored in segments") }

    let elements =
      if proto.dataLocation == .external {
        try external(proto, type, count, label)
      } else if !proto.rawData.isEmpty {
        try raw(proto, type, count, label)
      } else {
        try typed(proto, type, label)
      }
    guard elements.count(type) == count else {
      throw corrupt("\(label) of shape \(shape) has \(elements.count(type) ?? 0) elements; expected \(count)")
    }
    return ONNXTensor(shape: shape, elementType: type, elements: elements)
  }

  private func raw(
    _ proto: Onnx_TensorProto, _ type: ONNXElementType, _ count: Int, _ label: String
  ) throws(SimilarityError) -> ONNXElements {
    let size = try byteCount(type, count, label)
    guard proto.rawData.count == size else {
      throw corrupt("\(label) has \(proto.rawData.count) bytes; expected \(size), \(count) elements of type \(type)")
    }
    return type.isComplex ? .opaque(count: count) : .data(proto.rawData)
  }

  private mutating func external(
    _ proto: Onnx_TensorProto, _ type: ONNXElementType, _ count: Int, _ label: String
  ) throws(SimilarityError) -> ONNXElements {
    let entries = Dictionary(proto.externalData.map { ($0.key, $0.value) }) { first, _ in first }
    guard let location = entries["location"] else { throw corrupt("\(label) does not name its external file") }
    let size = try byteCount(type, count, label)
    let file: MappedFile
    do {
      file = try folder.file(at: location)
    } catch {
      throw SimilarityError(error.code, "\(label): \(error.message)")
    }
    let offset = try number(entries["offset"], label) ?? 0
    let length = try number(entries["length"], label) ?? size
    guard length == size else {
      throw corrupt("\(label) has \(length) bytes; expected \(size), \(count) elements of type \(type)")
    }
    guard offset <= file.count, size <= file.count - offset else {
      throw corrupt(
        "\(label) is said to have \(size) bytes from byte \(offset) of \(quoted(location)); found \(file.count) bytes there"
      )
    }
    return type.isComplex ? .opaque(count: count) : .mapped(file, offset..<offset + size)
  }

  private func number(_ text: String?, _ label: String) throws(SimilarityError) -> Int? {
    guard let text else { return nil }
    guard let number = Int(text), number >= 0 else {
      throw corrupt("\(label) has \(quoted(text)) for a place in an external file; expected a number")
    }
    return number
  }

  private func byteCount(_ type: ONNXElementType, _ count: Int, _ label: String) throws(SimilarityError) -> Int {
    guard let size = type.byteCount else { throw corrupt("\(label) has elements of type \(type) stored as bytes") }
    let (product, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow else { throw corrupt("\(label) has \(count) elements") }
    return product
  }

  /// Elements from the field of their type.
  private func typed(
    _ proto: Onnx_TensorProto, _ type: ONNXElementType, _ label: String
  ) throws(SimilarityError) -> ONNXElements {
    switch type {
    case .float: return .floats(proto.floatData)
    case .double: return .floats(proto.doubleData.map { Float($0) })
    case .int64: return .integers(proto.int64Data)
    case .float16, .bfloat16:
      guard let patterns = exactly(proto.int32Data, UInt16.self) else {
        throw corrupt("\(label) has elements that are no patterns of 16 bits")
      }
      return .data(littleEndian(patterns))
    case .uint64: return .data(littleEndian(proto.uint64Data))
    case .uint32:
      guard let values = exactly(proto.uint64Data, UInt32.self) else { throw outOfRange(label, type) }
      return .integers(values.map(Int64.init))
    case .bool: return .integers(proto.int32Data.map { $0 == 0 ? 0 : 1 })
    case .uint8, .int8, .uint16, .int16, .int32:
      let values = proto.int32Data.map(Int64.init)
      guard let range = type.integerRange, values.allSatisfy(range.contains) else { throw outOfRange(label, type) }
      return .integers(values)
    case .string: return .opaque(count: proto.stringData.count)
    case .complex64: return .opaque(count: proto.floatData.count / 2)
    case .complex128: return .opaque(count: proto.doubleData.count / 2)
    }
  }

  private func outOfRange(_ label: String, _ type: ONNXElementType) -> SimilarityError {
    corrupt("\(label) has elements outside the range of its type, \(type)")
  }

  private func exactly<From: BinaryInteger, To: FixedWidthInteger>(_ values: [From], _ type: To.Type) -> [To]? {
    let converted = values.compactMap { To(exactly: $0) }
    return converted.count == values.count ? converted : nil
  }

  private func littleEndian<T: FixedWidthInteger & BitwiseCopyable>(_ values: [T]) -> Data {
    unsafe values.map(\.littleEndian).withUnsafeBytes { unsafe Data($0) }
  }
}

extension ONNXElementType {
  fileprivate var isComplex: Bool { self == .complex64 || self == .complex128 }
}

extension ONNXTensor {
  /// A tensor in a file of its own (a `TensorProto`), as ONNX's test data has them.
  ///
  /// - Throws: as ``ONNXFile/init(contentsOf:opsets:)``.
  package init(contentsOf url: URL) throws(SimilarityError) {
    let file = try ONNXFolder.map(url)
    var reader = ONNXReader(file)
    self = try reader.tensor(Onnx_TensorProto(reading: file))
  }
}
