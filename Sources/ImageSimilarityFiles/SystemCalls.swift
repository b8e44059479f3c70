package import ImageSimilarityCore

#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// The error of the system call that has just failed; `errno` must not have been touched since.
package func systemError(_ action: String, _ path: String) -> SimilarityError {
  let number = errno
  let reason = unsafe strerror(number).map { unsafe String(cString: $0) } ?? "error \(number)"
  return SimilarityError(.inputOutput, "cannot \(action) \(path): \(reason)")
}

/// The path of a file URL that the system can be asked for.
package func systemPath(_ url: URL) throws(SimilarityError) -> String {
  guard url.isFileURL else {
    throw SimilarityError(.inputOutput, "expected the URL of a file; found \(url.absoluteString)")
  }
  let path = url.path
  guard !path.isEmpty, !path.utf8.contains(0) else {
    throw SimilarityError(.inputOutput, "expected the path of a file; found \(path.debugDescription)")
  }
  return path
}

extension stat {
  var isRegularFile: Bool { st_mode & S_IFMT == S_IFREG }
}
