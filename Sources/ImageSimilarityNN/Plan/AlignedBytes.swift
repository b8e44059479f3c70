/// A fixed number of bytes, zero at first, aligned to a cache line.
@safe final class AlignedBytes {
  let count: Int
  let start: UnsafeMutableRawPointer

  init(count: Int) {
    self.count = count
    unsafe start = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 64)
    unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: max(count, 1))
  }

  deinit {
    unsafe start.deallocate()
  }
}
