/// Elements side by side, at an address that is a multiple of 64, of which there can become more. New ones are 0.
@safe struct GrowingMemory<Element: BitwiseCopyable>: ~Copyable {
  private(set) var start: UnsafeMutablePointer<Element>
  private(set) var count = 0

  init() {
    unsafe start = Self.allocate(1)
  }

  deinit { unsafe start.deallocate() }

  /// Changes the number of elements; those that are there before and after keep their values.
  mutating func resize(to newCount: Int) {
    let new = unsafe Self.allocate(max(1, newCount))
    unsafe new.update(from: start, count: min(count, newCount))
    unsafe start.deallocate()
    unsafe start = new
    count = newCount
  }

  var byteCount: Int { count * MemoryLayout<Element>.stride }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
    let bytes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: count * MemoryLayout<Element>.stride, alignment: 64)
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
    guard let start = unsafe bytes.bindMemory(to: Element.self).baseAddress else {
      preconditionFailure("memory of at least one element has an address")
    }
    return unsafe start
  }
}
