import ImageSimilarityCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// The right to write to a model: an advisory lock (`flock`) on a file in its folder. The system gives it back when the
/// process ends, however it ends.
final class WriterLock: Sendable {
  static let fileName = "lock"
  private let descriptor: Int32

  init(folder: URL) throws(SimilarityError) {
    let path = folder.appending(path: Self.fileName, directoryHint: .notDirectory).path
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw SimilarityError(.inputOutput, "cannot write to \(folder.path): \(systemReason(errno))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let number = errno
      close(descriptor)
      if number == EWOULDBLOCK {
        throw SimilarityError(.modelLocked, "\(folder.path) is being written to by somebody else: try again later")
      }
      throw SimilarityError(.inputOutput, "cannot lock \(path): \(systemReason(number))")
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }
}

/// The system's words for an error number.
private func systemReason(_ number: Int32) -> String {
  unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
}

/// The reason why Foundation could not do something with a file.
func systemReason(_ error: any Error) -> String {
  guard let cause = (error as? CocoaError)?.underlying as? POSIXError else { return "\(error)" }
  return systemReason(cause.code.rawValue)
}
