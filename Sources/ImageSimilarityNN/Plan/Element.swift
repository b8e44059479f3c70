internal import CSimilarityKernels

/// How an activation is stored.
enum Element: Sendable, Hashable {
  case fp32
  case bf16
  /// Quantised: `scale * (q - zero)`.
  case u8

  init(_ precision: Precision) {
    switch precision {
    case .fp32: self = .fp32
    case .bf16: self = .bf16
    case .int8: self = .u8
    }
  }

  var size: Int {
    switch self {
    case .fp32: 4
    case .bf16: 2
    case .u8: 1
    }
  }

  var kernel: imsim_element {
    switch self {
    case .fp32: IMSIM_ELEMENT_FP32
    case .bf16: IMSIM_ELEMENT_BF16
    case .u8: IMSIM_ELEMENT_U8
    }
  }

  /// Products take elements in units of 32 bits.
  var unit: Int { 4 / size }

  /// The channels that a pixel has in memory: whole units; those beyond the tensor's own are multiplied by zero.
  func storedChannels(_ channels: Int) -> Int { (channels + unit - 1) / unit * unit }
}
