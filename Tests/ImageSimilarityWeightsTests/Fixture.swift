import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityWeights
import MisbehavingServer
import Synchronization

/// A cache in a new folder, a publisher on this machine, and weights that fit a network.
final class Fixture {
  static let backbone = "squeezenet-1.1"
  static let weights = make(SqueezeNet(.version1x1), seed: 1)
  static let otherWeights = make(SqueezeNet(.version1x1), seed: 2)
  static let unpublished = make(SqueezeNet(.version1x0), seed: 3)

  let folder: URL
  let server: MisbehavingServer
  let official: OfficialWeights
  private let log = Log()

  private final class Log: Sendable {
    let events = Mutex<[DownloadEvent]>([])
  }

  private static func make(_ backbone: some Backbone, seed: UInt64) -> Data {
    guard let file = try? backbone.randomWeights(seed: seed) else { return Data() }
    return file.file.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe Data($0) } }
  }

  init(_ answer: @escaping @Sendable (MisbehavingServer.Request) -> [MisbehavingServer.Action] = { _ in [] }) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "imsim-weights-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    server = try MisbehavingServer(answer)
    let digits = String(SHA256.hexDigest(of: Self.weights).prefix(8))
    official = OfficialWeights(
      backbone: Self.backbone, url: "\(server.address)/models/squeezenet1_1-\(digits).pth", sha256: digits)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  var cache: WeightsCache { WeightsCache(folder: folder.appending(path: "cache")) }
  var events: [DownloadEvent] { log.events.withLock { $0 } }
  var retries: Int { events.count { if case .retry = $0 { true } else { false } } }

  /// What the cache holds.
  var contents: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: cache.folder.path)) ?? []).sorted()
  }

  func store(mirror: URL? = nil, _ change: (inout DownloadOptions) -> Void = { _ in }) -> WeightsStore {
    var options = DownloadOptions()
    options.attempts = 3
    options.pause = .milliseconds(5)
    change(&options)
    return WeightsStore(cache: cache, mirror: mirror, options: options, officials: [official])
  }

  func pull(
    from source: String? = nil, sha256: String? = nil, _ change: (inout DownloadOptions) -> Void = { _ in }
  ) async throws -> StoredWeights {
    let log = log
    return try await store(change).pull(Self.backbone, from: source.flatMap { URL(string: $0) }, sha256: sha256) {
      event in
      log.events.withLock { $0.append(event) }
    }
  }

  /// The error that pulling ends with, and the number of requests until then.
  func failure(
    from source: String? = nil, sha256: String? = nil, _ change: (inout DownloadOptions) -> Void = { _ in }
  ) async -> SimilarityError? {
    do {
      _ = try await pull(from: source, sha256: sha256, change)
      return nil
    } catch {
      return error as? SimilarityError
    }
  }

  func file(_ name: String, _ contents: Data) throws -> URL {
    let url = folder.appending(path: name)
    try contents.write(to: url)
    return url
  }
}
