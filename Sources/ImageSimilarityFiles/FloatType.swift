internal import CSimilarityKernels

/// The element types that become single precision.
package enum FloatType {
  case f64, f32, f16, bf16

  init?(_ type: SafetensorsFile.ElementType) {
    switch type {
    case .f64: self = .f64
    case .f32: self = .f32
    case .f16: self = .f16
    case .bf16: self = .bf16
    default: return nil
    }
  }

  package var byteCount: Int {
    switch self {
    case .f64: 8
    case .f32: 4
    case .f16, .bf16: 2
    }
  }

  /// `count` little-endian elements, which may lie at an odd address.
  package func floats(_ source: UnsafeRawBufferPointer, count: Int) -> [Float] {
    precondition(source.count == count * byteCount, "\(count) elements do not have \(source.count) bytes")
    guard count > 0 else { return [] }
    return unsafe Array(unsafeUninitializedCapacity: count) { target, initialized in
      switch self {
      case .f64: unsafe sim_narrow_f64(source.baseAddress, target.baseAddress, count)
      case .f32: unsafe UnsafeMutableRawBufferPointer(target).copyMemory(from: source)
      case .f16: unsafe sim_widen_f16(source.baseAddress, target.baseAddress, count)
      case .bf16: unsafe sim_widen_bf16(source.baseAddress, target.baseAddress, count)
      }
      initialized = count
    }
  }
}
