internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct WeightsPull: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull",
    abstract: "Downloads official weights, once.",
    discussion: """
      A download that was cut or interrupted goes on where it was when it is repeated. The SHA-256 is checked, and a file that \
      is another one is removed. The environment variable IMSIM_WEIGHTS_MIRROR names a folder, such as \
      https://mirror.example/models, to take files from instead of the publisher's; SSL_CERT_FILE names certificates to trust \
      instead of the system's; https_proxy and no_proxy are followed.

      Examples:
        imsim weights pull resnet-50
        imsim weights pull --all
        imsim weights pull resnet-50 --from https://files.example/resnet50.pth
      """)

  @Argument(help: ArgumentHelp("Networks; see 'imsim weights list'.", valueName: "name"))
  var names: [String] = []

  @Flag(help: "All networks that have official weights.")
  var all = false

  @Option(help: ArgumentHelp("Take the file from there.", valueName: "url or file"))
  var from: String?

  @Option(
    name: .customLong("sha256"),
    help: ArgumentHelp(
      "The file's SHA-256 in full. Weights of your own can be pulled by it; without it, the publisher's are wanted.",
      valueName: "64 digits"))
  var sha256: String?

  @Option(
    help: ArgumentHelp("The most bytes that the file may have. Default: what the network needs.", valueName: "bytes"))
  var limit: Int?

  @Flag(help: "Print a JSON object per network.")
  var json = false

  func validate() throws {
    if names.isEmpty != all { throw ValidationError("Give either names or --all") }
    if names.count != 1, from != nil || sha256 != nil {
      throw ValidationError("--from and --sha256 are about one file: give one name")
    }
    if let limit, limit < 1 { throw ValidationError("--limit is a number of bytes, at least 1; found \(limit)") }
  }

  func run() async throws {
    let environment = ProcessInfo.processInfo.environment
    var options = DownloadOptions()
    options.sizeLimit = limit
    options.certificateAuthorities = environment["SSL_CERT_FILE"].flatMap { $0.isEmpty ? nil : URL(argument: $0) }
    let mirror = environment["IMSIM_WEIGHTS_MIRROR"].flatMap { $0.isEmpty ? nil : $0 }
    let store = WeightsStore(mirror: try mirror.map(source), options: options)
    for name in all ? OfficialWeights.all.map(\.backbone) : names {
      let line = ProgressLine()
      let stored = try await interruptible { [self] in
        defer { line.clear() }
        return try await store.pull(name, from: from.map(source), sha256: sha256) { event in
          switch event {
          case .received(let bytes, let total):
            line.show { Self.text(name, bytes, total, seconds: $0) }
          case .retry(let reason, let pause):
            line.clear()
            warn("\(reason); trying again in \((pause / .seconds(1)).formatted(digits: 0)) s")
          }
        }
      }
      try sayStored(stored, json: json)
    }
  }

  /// An address or a file.
  private func source(_ text: String) throws -> URL {
    guard text.contains("://") else { return URL(argument: text) }
    guard let url = URL(string: text) else { throw SimilarityError(.invalidArgument, "\(text) is no address") }
    return url
  }

  private static func text(_ name: String, _ bytes: Int, _ total: Int?, seconds: Double) -> String {
    "\(name)  \(bytes.megabytes)\(total.map { " of \($0.megabytes)" } ?? "")  \(seconds.formatted(digits: 0)) s"
  }
}
