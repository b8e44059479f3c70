import CKernels
import SeededNoise

/// Memory on a cache line, filled with noise that is the same at every run.
///
/// Sizes are those of the tensors: the kernels promise to stay inside.
final class Memory {
  let start: UnsafeMutableRawPointer

  /// `count` numbers between -1 and 1.
  static func floats(_ count: Int) -> Memory {
    Memory(count: count) { generator in Float.random(in: -1...1, using: &generator) }
  }

  /// `count` activations: numbers between 0 and 1, or bytes.
  static func activations(_ count: Int, _ element: Element) -> Memory {
    switch element {
    case .fp32: Memory(count: count) { Float.random(in: 0...1, using: &$0) }
    case .bf16:
      Memory(count: count) { UInt16(truncatingIfNeeded: Float.random(in: 0...1, using: &$0).bitPattern >> 16) }
    case .u8: bytes(count)
    }
  }

  static func bytes(_ count: Int) -> Memory {
    Memory(count: count) { UInt8.random(in: .min ... .max, using: &$0) }
  }

  private init<T: BitwiseCopyable>(count: Int, next: (inout SplitMix64) -> T) {
    var generator = SplitMix64(state: 2)
    start = .allocate(byteCount: max(1, count * MemoryLayout<T>.stride), alignment: 64)
    let elements = start.bindMemory(to: T.self, capacity: count)
    for i in 0..<count { elements[i] = next(&generator) }
  }

  deinit { start.deallocate() }

  func pointer<T>(to type: T.Type, at offset: Int = 0) -> UnsafeMutablePointer<T> {
    start.assumingMemoryBound(to: type) + offset
  }
}

/// How activations are stored.
enum Element: String, CaseIterable {
  case fp32, bf16, u8

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

  /// Elements of 32 bits, of which pixels have a whole number.
  var unit: Int { 4 / size }

  /// Those that are not emulated on this processor, or by what IMSIM_ISA says.
  static let native = allCases.filter { $0 != .bf16 || Kernels.convolution.has_bf16 != 0 }
}

/// The kernels that the package would choose here.
enum Kernels {
  static var convolution: imsim_convolution_kernels { imsim_convolution_kernels_current().pointee }
  static var spatial: imsim_spatial_kernels { imsim_spatial_kernels_current().pointee }
  static var winograd: imsim_winograd_kernels { imsim_winograd_kernels_current().pointee }
}

/// An image in NHWC layout with a border around it.
struct Tensor {
  let memory: Memory
  let element: Element
  let height: Int
  let width: Int
  let pixel: Int
  let row: Int
  let image: Int
  private let border: Int

  init(_ element: Element, images: Int = 1, height: Int, width: Int, channels: Int, border: Int = 0) {
    self.element = element
    self.height = height
    self.width = width
    self.border = border
    pixel = (channels + element.unit - 1) / element.unit * element.unit
    row = (width + 2 * border) * pixel
    image = (height + 2 * border) * row
    memory = .activations(images * image, element)
  }

  /// The element that lies `offset` elements from pixel (0, 0).
  func start(_ offset: Int = 0) -> UnsafeMutableRawPointer {
    memory.start + (border * row + border * pixel + offset) * element.size
  }

  func pointer<T>(to type: T.Type) -> UnsafeMutablePointer<T> { start().assumingMemoryBound(to: type) }

  /// Without its border.
  var bytes: Int { height * width * pixel * element.size }
}
