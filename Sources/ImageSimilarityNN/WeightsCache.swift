#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A folder of weights that have been downloaded or added, at most one file for each backbone. Looking into it never uses the
/// network: `ImageSimilarityWeights` and `imsim weights` fill it.
///
/// A publisher's file keeps its name; other weights of a backbone are in `BACKBONE.weights`, whatever their format.
public struct WeightsCache: Sendable, Hashable {
  public let folder: URL

  public init(folder: URL) { self.folder = folder }

  /// The user's: the environment variable `IMSIM_WEIGHTS` names the folder, which otherwise is `imsim/weights` in
  /// `XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification).
  public static var standard: WeightsCache { WeightsCache(environment: ProcessInfo.processInfo.environment) }

  package init(environment: [String: String]) {
    func folder(_ variable: String) -> URL? {
      environment[variable].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0, isDirectory: true) }
    }
    if let own = folder("IMSIM_WEIGHTS") {
      self.folder = own
      return
    }
    // The specification wants relative paths ignored.
    let isAbsolute = environment["XDG_CACHE_HOME"]?.hasPrefix("/") == true
    let home = folder("HOME") ?? FileManager.default.homeDirectoryForCurrentUser
    let caches = isAbsolute ? folder("XDG_CACHE_HOME") : nil
    self.folder = (caches ?? home.appending(path: ".cache", directoryHint: .isDirectory))
      .appending(path: "imsim/weights", directoryHint: .isDirectory)
  }

  /// The weights of a backbone, by its name; nil where there are none.
  ///
  /// - Complexity: O(1); the file is not opened
  public func url(for backbone: String) -> URL? { url(for: backbone, official: OfficialWeights.of(backbone)) }

  package func url(for backbone: String, official: OfficialWeights?) -> URL? {
    let places = [official.map(place), ownPlace(for: backbone)]
    return places.compactMap(\.self).first { FileManager.default.fileExists(atPath: $0.path) }
  }

  package func place(_ official: OfficialWeights) -> URL {
    folder.appending(path: official.fileName, directoryHint: .notDirectory)
  }

  /// Where weights that are not the publisher's are.
  package func ownPlace(for backbone: String) -> URL {
    folder.appending(path: "\(backbone).weights", directoryHint: .notDirectory)
  }
}
