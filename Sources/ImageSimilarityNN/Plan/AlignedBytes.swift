#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// A fixed number of bytes, zero at first, aligned to a cache line.
///
/// The system gives the memory page by page as it is touched.
@safe final class AlignedBytes {
  let count: Int
  let start: UnsafeMutableRawPointer
  private let mapping: UnsafeMutableRawPointer
  private let mappedBytes: Int

  /// Where the system has pages of this size, a walk over megabytes of weights needs far fewer address translations.
  private static let hugePage = 2 << 20

  init(count: Int) {
    self.count = count
    // A whole number of huge pages, and room to begin on one.
    mappedBytes = (max(count, 1) + 2 * Self.hugePage - 1) / Self.hugePage * Self.hugePage
    let memory = unsafe mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard unsafe memory != MAP_FAILED, let memory = unsafe memory else {
      preconditionFailure("the system has no \(count) bytes of memory")
    }
    unsafe mapping = memory
    unsafe start = memory.alignedUp(toMultipleOf: Self.hugePage)
    #if os(Linux)
      // Advice only: it changes nothing but speed, so a refusal does not matter.
      if count >= Self.hugePage { _ = unsafe madvise(start, count, MADV_HUGEPAGE) }
    #endif
  }

  deinit {
    unsafe munmap(mapping, mappedBytes)
  }
}
