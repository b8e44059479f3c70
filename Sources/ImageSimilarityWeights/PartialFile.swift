internal import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What has arrived of a download, `.NAME.part`, with what tells the server which version that was, `.NAME.part.version`.
///
/// The object holds the right to write to the file (`flock`), which the system takes back when the process ends. The file stays
/// when the object goes, so that a later download can go on.
final class PartialFile {
  let url: URL
  private let path: String
  private let descriptor: Int32
  private(set) var count: Int

  /// Opens the file, or makes it.
  ///
  /// - Throws: ``SimilarityError/Code/downloadLocked``, ``SimilarityError/Code/inputOutput``.
  init(_ name: String, in folder: URL) throws(SimilarityError) {
    url = folder.appending(path: ".\(name).part", directoryHint: .notDirectory)
    path = try systemPath(url)
    while true {
      let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o666)
      guard descriptor >= 0 else { throw systemError("write", path) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let error = errno == EWOULDBLOCK ? Self.locked(name, folder) : systemError("lock", path)
        close(descriptor)
        throw error
      }
      var (opened, named) = (stat(), stat())
      guard unsafe fstat(descriptor, &opened) == 0 else {
        let error = systemError("read", path)
        close(descriptor)
        throw error
      }
      // The holder before may have given the file its final name after it was opened here.
      if unsafe lstat(path, &named) == 0, named.st_ino == opened.st_ino, named.st_dev == opened.st_dev {
        self.descriptor = descriptor
        count = Int(opened.st_size)
        return
      }
      close(descriptor)
    }
  }

  deinit { close(descriptor) }

  private static func locked(_ name: String, _ folder: URL) -> SimilarityError {
    SimilarityError(
      .downloadLocked, "another process is downloading \(name) into \(folder.path): try again when it is done")
  }

  private var versionURL: URL { url.appendingPathExtension("version") }

  /// What the server can tell the version by, of which this is a part.
  var version: String? {
    guard let data = try? Data(contentsOf: versionURL), data.count <= 1024 else { return nil }
    return String(data: data, encoding: .utf8)
  }

  /// Drops all bytes; those that follow are of another version.
  func restart(version: String?) throws(SimilarityError) {
    guard ftruncate(descriptor, 0) == 0 else { throw systemError("write", path) }
    count = 0
    try? FileManager.default.removeItem(at: versionURL)
    if let version { try writeAtomically(Data(version.utf8), to: versionURL) }
  }

  func append(_ bytes: RawSpan) throws(SimilarityError) {
    var done = 0
    while done < bytes.byteCount {
      let written = unsafe bytes.extracting(droppingFirst: done).withUnsafeBytes { source in
        unsafe pwrite(descriptor, source.baseAddress, source.count, off_t(count))
      }
      guard written > 0 || (written < 0 && errno == EINTR) else { throw systemError("write", path) }
      done += max(0, written)
      count += max(0, written)
    }
  }

  /// Gives the file its final name in the same folder, in place of what is there, all at once and durably.
  func commit(to target: URL) throws(SimilarityError) {
    let targetPath = try systemPath(target)
    guard fsync(descriptor) == 0, unsafe rename(path, targetPath) == 0 else { throw systemError("write", targetPath) }
    try? FileManager.default.removeItem(at: versionURL)
    try fsyncDirectory(target.deletingLastPathComponent())
  }

  /// Removes the file.
  func discard() {
    unsafe unlink(path)
    try? FileManager.default.removeItem(at: versionURL)
  }
}
