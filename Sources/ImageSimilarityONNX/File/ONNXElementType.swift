/// The types of a tensor's elements, with ONNX's numbers (`TensorProto.DataType`).
package enum ONNXElementType: Int32, Sendable, Hashable, CaseIterable {
  case float = 1
  case uint8 = 2
  case int8 = 3
  case uint16 = 4
  case int16 = 5
  case int32 = 6
  case int64 = 7
  case string = 8
  case bool = 9
  case float16 = 10
  case double = 11
  case uint32 = 12
  case uint64 = 13
  case complex64 = 14
  case complex128 = 15
  case bfloat16 = 16

  /// Whether elements are numbers with a fraction: fp32, fp16, bf16 or fp64.
  package var isFloatingPoint: Bool {
    switch self {
    case .float, .float16, .double, .bfloat16: true
    default: false
    }
  }

  /// Whether elements are integers or truth values.
  package var isInteger: Bool { integerRange != nil }

  /// The least and the greatest value of an integer type, as far as an `Int64` holds them; 0 and 1 of truth values. Nil of
  /// all other types.
  package var integerRange: ClosedRange<Int64>? {
    switch self {
    case .uint8: 0...Int64(UInt8.max)
    case .int8: Int64(Int8.min)...Int64(Int8.max)
    case .uint16: 0...Int64(UInt16.max)
    case .int16: Int64(Int16.min)...Int64(Int16.max)
    case .uint32: 0...Int64(UInt32.max)
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .uint64: 0...Int64.max
    case .int64: Int64.min...Int64.max
    case .bool: 0...1
    default: nil
    }
  }

  /// Bytes of one element in `raw_data` and external files; nil where elements do not have the same number each.
  package var byteCount: Int? {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .float, .int32, .uint32: 4
    case .int64, .uint64, .double, .complex64: 8
    case .complex128: 16
    case .string: nil
    }
  }
}
