internal import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// Moves the pictures that are not the best of their group into a folder, and back.
///
/// Nothing is deleted and nothing is written over: where there is a file of that name, the moved one gets a number. Each move
/// is in the log ``logName`` in the folder, on disk, before it happens. On one file system a file is renamed; between two it
/// is copied, brought to the disk, and only then removed where it was.
public struct DuplicateMover: Sendable {
  /// A JSON object a line: `from`, `to`.
  public static let logName = "imsim-moves.jsonl"

  /// A file that is moved, or would be.
  public struct Move: Sendable, Hashable, Codable {
    public var from: String
    public var to: String
  }

  /// What came of it.
  public struct Result: Sendable, Hashable, Codable {
    public var moved: [Move]
    public var failed: [SkippedImage]

    public init(moved: [Move] = [], failed: [SkippedImage] = []) {
      self.moved = moved
      self.failed = failed
    }
  }

  public let folder: URL

  public init(to folder: URL) { self.folder = folder }

  /// The pictures of groups of copies that are to go: all but the best of each, those that the user keeps, and the best of any
  /// other group. Groups of bursts are left alone: their pictures are different ones.
  public static func candidates(_ report: DuplicateReport) -> [DuplicateMember] {
    let best = Set(report.groups.map(\.best))
    var seen: Set<String> = []
    // Two ids may name one file; it must not go while one of them stays.
    let stays = Set(
      report.groups.flatMap(\.members).filter { best.contains($0.id) || $0.isKept }.map { Self.realPath($0.path) })
    return report.groups.filter { $0.kind != .burst }.flatMap(\.members).filter { member in
      !best.contains(member.id) && !member.isKept && !stays.contains(realPath(member.path))
        && seen.insert(realPath(member.path)).inserted
    }
  }

  private static func realPath(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }

  /// Says where each file would go; changes nothing.
  public func plan(_ members: [DuplicateMember]) -> [Move] {
    var taken: Set<String> = []
    return members.map { member in
      let name = Self.names(for: member.path).first { name in
        !taken.contains(name) && !Self.exists(folder.appending(path: name).path)
      }
      let chosen = name ?? member.id
      taken.insert(chosen)
      return Move(from: member.path, to: folder.appending(path: chosen).path)
    }
  }

  /// Moves files. One that cannot be moved is listed, and stays as it is.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the folder cannot be made or written to, and `CancellationError`
  ///   between two files; what was moved by then is in the log.
  public func move(_ members: [DuplicateMember]) throws -> Result {
    do {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
      throw SimilarityError(.inputOutput, "cannot make the folder \(folder.path): \(error)")
    }
    let log = try MoveLog(folder.appending(path: Self.logName))
    var result = Result()
    for member in members {
      try Task.checkCancellation()
      do throws(SimilarityError) {
        result.moved.append(try move(member.path, log))
      } catch {
        result.failed.append(
          SkippedImage(id: member.id, path: member.path, code: error.code.rawValue, reason: error.message))
      }
    }
    return result
  }

  /// Moves everything that the folder's log names back to where it was, the last move first. A file whose old place is taken
  /// stays where it is, and is listed; so does one that is no longer in the folder. The log keeps what did not go back.
  public func undo() throws -> Result {
    let url = folder.appending(path: Self.logName)
    let moves = try MoveLog.read(url)
    var result = Result()
    var left: [Move] = []
    for move in moves.reversed() {
      // A move that was logged and did not happen.
      if !Self.exists(move.to), Self.exists(move.from) { continue }
      do throws(SimilarityError) {
        try Self.moveFile(from: move.to, to: move.from)
        result.moved.append(Move(from: move.to, to: move.from))
      } catch {
        left.append(move)
        result.failed.append(
          SkippedImage(id: move.to, path: move.to, code: error.code.rawValue, reason: error.message))
      }
    }
    try writeAtomically(MoveLog.lines(left.reversed()), to: url)
    return result
  }

  private func move(_ path: String, _ log: MoveLog) throws(SimilarityError) -> Move {
    for name in Self.names(for: path) {
      let target = folder.appending(path: name).path
      if Self.exists(target) { continue }
      let move = Move(from: path, to: target)
      try log.append(move)
      do throws(SimilarityError) {
        try Self.moveFile(from: path, to: target)
        return move
      } catch {
        // Another process may just have taken the name.
        guard Self.exists(target), Self.exists(path) else { throw error }
      }
    }
    throw SimilarityError(.inputOutput, "cannot move \(path): there are too many files of that name in \(folder.path)")
  }

  /// `a.jpg`, `a-2.jpg`, `a-3.jpg` and so on.
  private static func names(for path: String) -> some Sequence<String> {
    let url = URL(fileURLWithPath: path)
    let name = url.lastPathComponent
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    return (1...100_000).lazy.map { number in
      number == 1 && name != logName ? name : "\(name[..<dot])-\(number)\(name[dot...])"
    }
  }

  /// Whether there is anything of that name, also a link to nowhere.
  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0
  }

  /// Moves a file to a name that must be free. Whatever happens, the file is whole under one of the two names.
  private static func moveFile(from: String, to: String) throws(SimilarityError) {
    var status = stat()
    guard unsafe lstat(from, &status) == 0 else { throw systemError("move", from) }
    // Takes the name, so that no other file can have it; the rename then replaces this empty file of ours.
    let reserved = unsafe open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard reserved >= 0 else { throw systemError("move \(from) to", to) }
    close(reserved)
    if unsafe rename(from, to) == 0 { return }
    guard errno == EXDEV else {
      let error = systemError("move \(from) to", to)
      unsafe unlink(to)
      throw error
    }
    do throws(SimilarityError) {
      try copyFile(from: from, to: to, status)
    } catch {
      unsafe unlink(to)
      throw error
    }
    guard unsafe unlink(from) == 0 else {
      let error = systemError("remove", from)
      unsafe unlink(to)
      throw error
    }
  }

  private static func copyFile(from: String, to: String, _ status: stat) throws(SimilarityError) {
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw SimilarityError(.inputOutput, "cannot move \(from) to another file system: it is not a regular file")
    }
    let source = try MappedFile(contentsOf: URL(fileURLWithPath: from))
    var target = try AtomicFile(URL(fileURLWithPath: to))
    try source.withBytes { (bytes) throws(SimilarityError) in try target.append(bytes) }
    guard target.length == Int(status.st_size) else {
      throw SimilarityError(.inputOutput, "cannot move \(from): it changes while it is copied")
    }
    try target.commit()
    unsafe chmod(to, status.st_mode & 0o7777)
    #if canImport(Darwin)
      var times = [status.st_atimespec, status.st_mtimespec]
    #else
      var times = [status.st_atim, status.st_mtim]
    #endif
    // The time is a nicety; a file system that cannot keep it is no reason to fail.
    unsafe utimensat(AT_FDCWD, to, &times, 0)
  }
}

/// Moves, a line each, that are on the disk once ``append(_:)`` returns.
private final class MoveLog {
  private let descriptor: Int32
  private let path: String

  init(_ url: URL) throws(SimilarityError) {
    path = url.path
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard descriptor >= 0 else { throw systemError("write", path) }
  }

  deinit { close(descriptor) }

  func append(_ move: DuplicateMover.Move) throws(SimilarityError) {
    let line = try Self.lines([move])
    let written = unsafe line.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    guard written == line.count, fsync(descriptor) == 0 else { throw systemError("write", path) }
  }

  static func lines(_ moves: [DuplicateMover.Move]) throws(SimilarityError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var lines = Data()
    do {
      for move in moves {
        lines += try encoder.encode(move)
        lines.append(0x0A)
      }
    } catch {
      throw SimilarityError(.inputOutput, "cannot write the log: \(error)")
    }
    return lines
  }

  static func read(_ url: URL) throws(SimilarityError) -> [DuplicateMover.Move] {
    do {
      let data = try Data(contentsOf: url)
      return try data.split(separator: 0x0A).map { try JSONDecoder().decode(DuplicateMover.Move.self, from: Data($0)) }
    } catch {
      throw SimilarityError(.inputOutput, "cannot read the log of moves \(url.path): \(error)")
    }
  }
}
