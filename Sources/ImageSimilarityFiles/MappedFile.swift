public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// The bytes of a regular file, mapped into memory for reading: pages are read when they are touched.
///
/// Files that are mapped must be replaced by renaming, never rewritten in place: a mapping sees what is written to its file,
/// and the system stops a process that reads a page beyond the end of a file that has since been cut short.
///
/// `@unchecked Sendable`: the memory is never written, and lives as long as the object.
@safe public final class MappedFile: @unchecked Sendable {
  /// The file; for memory that is no file, a relative URL of its name.
  public let url: URL
  /// The file's path, or the name of the memory: what messages call it.
  public let name: String
  /// The memory. It is valid as long as the object lives.
  @unsafe public let bytes: UnsafeRawBufferPointer
  /// Whether the memory is that of a file, and not part of the program.
  public let isMapped: Bool

  /// Number of bytes.
  public var count: Int { unsafe bytes.count }

  /// Maps a file, which may be empty. Anything else (a folder, a pipe, a device) is refused without waiting for it.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput``.
  public init(contentsOf url: URL) throws(SimilarityError) {
    let path = try systemPath(url)
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw systemError("open", path) }
    defer { close(descriptor) }

    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw systemError("read", path) }
    guard status.isRegularFile else {
      throw SimilarityError(.inputOutput, "cannot read \(path): expected a regular file, and it is not one")
    }
    guard let count = Int(exactly: status.st_size), count >= 0 else {
      throw SimilarityError(.inputOutput, "cannot read \(path): its size, \(status.st_size) bytes, is out of range")
    }

    self.url = url
    self.name = path
    if count == 0 {
      unsafe bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      isMapped = false
    } else {
      let address = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
      guard let address = unsafe address, unsafe address != MAP_FAILED else { throw systemError("map", path) }
      unsafe bytes = UnsafeRawBufferPointer(start: address, count: count)
      isMapped = true
    }
  }

  /// Memory that is part of the program: it is never freed and never changes.
  @unsafe public init(bytes: UnsafeRawBufferPointer, name: String) {
    self.url = URL(fileURLWithPath: name)
    self.name = name
    unsafe self.bytes = bytes
    isMapped = false
  }

  deinit {
    if isMapped { unsafe munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
  }

  /// Says that nobody needs the pages of a range soon: they need not stay in memory, and are read again when touched.
  package func release(_ range: Range<Int>) {
    guard isMapped, let start = unsafe bytes.baseAddress else { return }
    let page = 1 << 16
    let first = range.lowerBound / page * page
    unsafe madvise(
      UnsafeMutableRawPointer(mutating: start + first), min(range.upperBound, count) - first, MADV_DONTNEED)
  }

  /// Calls `body` with all bytes.
  public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try unsafe body(bytes.bytes)
  }
}
