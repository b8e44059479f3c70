import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Where a tensor's elements are.
enum ONNXElements: Sendable {
  /// Little-endian, in their own type.
  case data(Data)
  /// A range of a file: little-endian, in their own type.
  case mapped(MappedFile, Range<Int>)
  /// Of a floating-point type. Those of double precision are rounded.
  case floats([Float])
  /// Of an integer type.
  case integers([Int64])
  /// Elements that nothing can be computed with, strings and complex numbers.
  case opaque(count: Int)

  /// How many there are.
  func count(_ type: ONNXElementType) -> Int? {
    switch self {
    case .data(let data): type.byteCount.map { data.count / $0 }
    case .mapped(_, let range): type.byteCount.map { range.count / $0 }
    case .floats(let floats): floats.count
    case .integers(let integers): integers.count
    case .opaque(let count): count
    }
  }

  /// As single precision; nil where they are no numbers.
  func floats(_ type: ONNXElementType) -> [Float]? {
    switch self {
    case .floats(let floats): return floats
    case .integers(let integers): return integers.map(Float.init)
    case .opaque: return nil
    case .data, .mapped:
      guard let float = FloatType(type) else {
        return type == .uint64 ? unsignedFloats() : integers(type)?.map(Float.init)
      }
      return unsafe withBytes { bytes in unsafe float.floats(bytes, count: bytes.count / float.byteCount) }
    }
  }

  /// Nil where they are no integers, or some are larger than an `Int64` holds.
  func integers(_ type: ONNXElementType) -> [Int64]? {
    switch self {
    case .integers(let integers): integers
    case .floats, .opaque: nil
    case .data, .mapped:
      switch type {
      case .bool: load(UInt8.self).map { $0 == 0 ? 0 : 1 }
      case .uint8: load(UInt8.self).map(Int64.init)
      case .int8: load(Int8.self).map(Int64.init)
      case .uint16: load(UInt16.self).map(Int64.init)
      case .int16: load(Int16.self).map(Int64.init)
      case .uint32: load(UInt32.self).map(Int64.init)
      case .int32: load(Int32.self).map(Int64.init)
      case .int64: load(Int64.self)
      case .uint64: signed(load(UInt64.self))
      case .float, .float16, .bfloat16, .double, .string, .complex64, .complex128: nil
      }
    }
  }

  private func unsignedFloats() -> [Float] { load(UInt64.self).map(Float.init) }

  private func signed(_ values: [UInt64]) -> [Int64]? {
    values.allSatisfy { $0 <= UInt64(Int64.max) } ? values.map(Int64.init) : nil
  }

  private func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> [T] {
    unsafe withBytes { bytes in
      (0..<bytes.count / MemoryLayout<T>.size).map { index in
        unsafe T(littleEndian: bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self))
      }
    }
  }

  /// The one door to the memory.
  private func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    switch self {
    case .data(let data): unsafe data.withUnsafeBytes { unsafe body($0) }
    case .mapped(let file, let range):
      file.withBytes { all in
        unsafe all.extracting(range).withUnsafeBytes { unsafe body($0) }
      }
    case .floats, .integers, .opaque: preconditionFailure("elements that are no bytes")
    }
  }
}

extension FloatType {
  init?(_ type: ONNXElementType) {
    switch type {
    case .float: self = .f32
    case .float16: self = .f16
    case .bfloat16: self = .bf16
    case .double: self = .f64
    default: return nil
    }
  }
}
