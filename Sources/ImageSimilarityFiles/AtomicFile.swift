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

/// A file that appears at its path all at once, and durably: it is written under a temporary name in the same folder, and
/// ``commit()`` gives it its name. Where it is dropped without that, nothing remains.
///
/// All errors are ``SimilarityError/Code/inputOutput``.
package struct AtomicFile: ~Copyable {
  private let path: String
  private let folder: String
  private let temporaryPath: String
  private let descriptor: Int32
  /// Bytes that have been appended.
  package private(set) var length = 0
  private var isCommitted = false

  package init(_ url: URL) throws(SimilarityError) {
    let path = try systemPath(url)
    var status = stat()
    if unsafe stat(path, &status) == 0, !status.isRegularFile {
      throw SimilarityError(.inputOutput, "cannot write \(path): there is something else than a regular file")
    }
    let folder = url.deletingLastPathComponent().path
    let separator = folder.hasSuffix("/") ? "" : "/"
    let temporaryPath = "\(folder)\(separator).\(String(UInt64.random(in: .min ... .max), radix: 36)).tmp"
    let descriptor = unsafe open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw systemError("write", path) }

    self.path = path
    self.folder = folder
    self.temporaryPath = temporaryPath
    self.descriptor = descriptor
  }

  deinit {
    close(descriptor)
    if !isCommitted { unsafe unlink(temporaryPath) }
  }

  /// Appends bytes.
  package mutating func append(_ bytes: RawSpan) throws(SimilarityError) {
    try write(bytes, at: length)
    length += bytes.byteCount
  }

  /// Writes over bytes that have been appended.
  package mutating func overwrite(at offset: Int, _ bytes: RawSpan) throws(SimilarityError) {
    precondition(offset >= 0 && offset + bytes.byteCount <= length, "only what has been written can be overwritten")
    try write(bytes, at: offset)
  }

  /// Brings the contents to the disk, gives the file its name in place of what was there, and brings that to the disk.
  package consuming func commit() throws(SimilarityError) {
    guard fsync(descriptor) == 0 else { throw systemError("write", path) }
    guard unsafe rename(temporaryPath, path) == 0 else { throw systemError("write", path) }
    isCommitted = true
    try fsyncDirectory(folder)
  }

  private func write(_ bytes: RawSpan, at offset: Int) throws(SimilarityError) {
    // One call writes at most 2 GiB on Linux, and fails beyond that elsewhere.
    let limit = 1 << 30
    var done = 0
    while done < bytes.byteCount {
      let part = bytes.extracting(done..<min(done + limit, bytes.byteCount))
      let written = unsafe part.withUnsafeBytes { source in
        unsafe pwrite(descriptor, source.baseAddress, source.count, off_t(offset + done))
      }
      if written > 0 {
        done += written
      } else if written == 0 || errno != EINTR {
        throw systemError("write", path)
      }
    }
  }
}

/// Replaces the file at `url` by one with these bytes, all at once and durably: whenever the power goes, there is the old
/// file or the new one.
///
/// - Throws: ``SimilarityError/Code/inputOutput``; the old file is then as it was.
package func writeAtomically(_ data: Data, to url: URL) throws(SimilarityError) {
  var file = try AtomicFile(url)
  try file.append(data.bytes)
  try file.commit()
}

/// Brings a folder's entries (files created, renamed and removed in it) to the disk.
package func fsyncDirectory(_ url: URL) throws(SimilarityError) {
  try fsyncDirectory(systemPath(url))
}

private func fsyncDirectory(_ path: String) throws(SimilarityError) {
  let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { throw systemError("open", path) }
  defer { close(descriptor) }
  // Some file systems cannot do it, and say EINVAL.
  guard fsync(descriptor) == 0 || errno == EINVAL else { throw systemError("write", path) }
}
