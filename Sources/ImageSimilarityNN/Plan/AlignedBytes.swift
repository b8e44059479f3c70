#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// A fixed number of bytes, zero at first, aligned to a cache line.
@safe final class AlignedBytes {
  let count: Int
  let start: UnsafeMutableRawPointer

  /// Where the system has pages of this size, a walk over megabytes of weights needs far fewer address translations.
  private static let hugePage = 2 << 20

  init(count: Int) {
    self.count = count
    let isLarge = count >= Self.hugePage
    let size = isLarge ? (count + Self.hugePage - 1) / Self.hugePage * Self.hugePage : max(count, 1)
    unsafe start = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: isLarge ? Self.hugePage : 64)
    #if os(Linux)
      // Advice only: it changes nothing but speed, so a refusal does not matter.
      if isLarge { _ = unsafe madvise(start, size, MADV_HUGEPAGE) }
    #endif
    unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: max(count, 1))
  }

  deinit {
    unsafe start.deallocate()
  }
}
