#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Memory whose last element is followed by a page that must not be touched.
@safe final class GuardedArray<E: BitwiseCopyable> {
  let pointer: UnsafeMutablePointer<E>
  let count: Int
  private let mapping: UnsafeMutableRawPointer
  private let length: Int

  init(repeating element: E, count: Int) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let bytes = (count * MemoryLayout<E>.stride + page - 1) / page * page
    self.count = count
    length = bytes + page
    let mapped = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    precondition(unsafe mapped != MAP_FAILED, "no memory for a test's array")
    unsafe mapping = mapped!
    precondition(unsafe mprotect(mapping + bytes, page, PROT_NONE) == 0, "a page can be protected")
    unsafe pointer = (mapping + bytes - count * MemoryLayout<E>.stride).bindMemory(to: E.self, capacity: count)
    unsafe pointer.initialize(repeating: element, count: count)
  }

  convenience init(_ elements: [E]) {
    self.init(repeating: elements[0], count: elements.count)
    for i in elements.indices { self[i] = elements[i] }
  }

  deinit { unsafe munmap(mapping, length) }

  var elements: [E] { (0..<count).map { self[$0] } }

  var rawPointer: UnsafeRawPointer { unsafe UnsafeRawPointer(pointer) }

  subscript(i: Int) -> E {
    get { unsafe UnsafeBufferPointer(start: pointer, count: count)[i] }
    set { unsafe UnsafeMutableBufferPointer(start: pointer, count: count)[i] = newValue }
  }
}

/// A tensor with a border, of elements that are `guardElement` at first. Its memory ends with the last pixel's
/// channels.
final class Tensor<E: TensorElement> {
  let (height, width, channels, pixel, row): (Int, Int, Int, Int, Int)
  let border: (top: Int, left: Int, bottom: Int, right: Int)
  let storage: GuardedArray<E>

  init(
    _ height: Int, _ width: Int, _ channels: Int, spare: Int,
    border: (top: Int, left: Int, bottom: Int, right: Int)
  ) {
    self.height = height
    self.width = width
    self.channels = channels
    self.border = border
    pixel = channels + spare
    row = (border.left + width + border.right) * pixel
    storage = GuardedArray(repeating: E.guardElement, count: (border.top + height + border.bottom) * row - spare)
  }

  /// Another tensor of this shape, all `guardElement`.
  var blank: Tensor { Tensor(height, width, channels, spare: pixel - channels, border: border) }

  private func offset(_ y: Int, _ x: Int) -> Int { (y + border.top) * row + (x + border.left) * pixel }

  var origin: UnsafeMutablePointer<E> { unsafe storage.pointer + offset(0, 0) }

  subscript(y: Int, x: Int, c: Int) -> E {
    storage[offset(y, x) + c]
  }

  /// All bits, guards included.
  var elements: [E.Bits] { (0..<storage.count).map { storage[$0].bits } }

  /// The first element that differs in its bits, guards included, from another tensor of this shape.
  func difference(from expected: Tensor) -> String? {
    for i in 0..<storage.count where storage[i].bits != expected.storage[i].bits {
      let (y, x) = (i / row - border.top, i % row / pixel - border.left)
      return "(\(y), \(x), \(i % row % pixel)) is \(storage[i]), not \(expected.storage[i])"
    }
    return nil
  }

  func setPixels(rows: Range<Int>? = nil, _ element: (_ y: Int, _ x: Int, _ c: Int) -> E) {
    for y in rows ?? 0..<height {
      for x in 0..<width { for c in 0..<channels { storage[offset(y, x) + c] = element(y, x, c) } }
    }
  }

  /// The pixels and the border.
  func setAll(_ element: (_ y: Int, _ x: Int, _ c: Int) -> E) {
    for y in -border.top..<height + border.bottom {
      for x in -border.left..<width + border.right {
        for c in 0..<channels { storage[offset(y, x) + c] = element(y, x, c) }
      }
    }
  }
}

/// An element type of tensors: fp32, bf16 (in UInt16) or u8.
protocol TensorElement: BitwiseCopyable {
  associatedtype Bits: Equatable
  var bits: Bits { get }
  var value: Float { get }
  static var guardElement: Self { get }
  static var widestClamp: ClosedRange<Float> { get }
  static var narrowClamp: ClosedRange<Float> { get }

  /// A small whole number that depends on `seed`: sums of products are exact in fp32, in any order.
  static func number(_ seed: Int) -> Self
}

extension ClosedRange<Float> {
  func clamp(_ x: Float) -> Float { Swift.min(Swift.max(x, lowerBound), upperBound) }
}

extension Float: TensorElement {
  var bits: UInt32 { bitPattern }
  var value: Float { self }
  static var guardElement: Float { .nan }
  static var widestClamp: ClosedRange<Float> { -.infinity ... .infinity }
  static var narrowClamp: ClosedRange<Float> { 0...6 }
  static func number(_ seed: Int) -> Float { Float(seed * 7919 % 17 - 8) }
}

extension UInt16: TensorElement {
  /// The nearest bf16, ties to even.
  static func rounding(_ x: Float) -> UInt16 {
    let bits = x.bitPattern
    let (upper, rest) = (UInt16(bits >> 16), bits & 0xffff)
    return rest > 0x8000 || rest == 0x8000 && upper % 2 == 1 ? upper + 1 : upper
  }

  var bits: UInt16 { self }
  var value: Float { Float(bitPattern: UInt32(self) << 16) }
  static var guardElement: UInt16 { 0x7fc1 }
  static var widestClamp: ClosedRange<Float> { Float.widestClamp }
  static var narrowClamp: ClosedRange<Float> { Float.narrowClamp }
  static func number(_ seed: Int) -> UInt16 { rounding(Float.number(seed)) }
}

extension UInt8: TensorElement {
  var bits: UInt8 { self }
  var value: Float { Float(self) }
  static var guardElement: UInt8 { 0xa5 }
  static var widestClamp: ClosedRange<Float> { 0...255 }
  static var narrowClamp: ClosedRange<Float> { 17...200 }
  static func number(_ seed: Int) -> UInt8 { UInt8(truncatingIfNeeded: seed * 7919) }
}
