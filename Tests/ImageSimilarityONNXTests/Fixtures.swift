import Foundation

/// Where the tests' files are.
enum Fixtures {
  static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  static let networks = tests.appending(path: "Fixtures")
  static let environment = ProcessInfo.processInfo.environment

  /// Real weights and photographs that are no part of the package.
  static let shared = URL(
    fileURLWithPath: environment["IMSIM_SHARED"]
      ?? tests.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "shared").path)
  static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "weights").path)
}
