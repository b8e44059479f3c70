internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Weights: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Downloads, adds and lists networks' official weights.",
    discussion: """
      Weights lie in a folder of the user's, from which '--backbone resnet-50' takes them: $IMSIM_WEIGHTS, or imsim/weights in \
      $XDG_CACHE_HOME or ~/.cache. Nothing is downloaded but by 'imsim weights pull'.

      Examples:
        imsim weights pull resnet-50
        imsim weights add resnet50-0676ba61.pth
        imsim index photos --model photos.imsim --backbone resnet-50
      """,
    subcommands: [WeightsPull.self, WeightsAdd.self, WeightsList.self, WeightsRemove.self, WeightsPath.self])
}

/// Weights in the cache, as JSON says them.
struct WeightsLine: Encodable {
  var backbone: String
  var path: String
  var bytes: Int
  var sha256: String
  /// Whether they are the publisher's.
  var official: Bool
  /// Whether they have just come.
  var new: Bool

  init(_ stored: StoredWeights) {
    backbone = stored.backbone
    path = stored.url.path
    bytes = stored.byteCount
    sha256 = stored.sha256
    official = stored.isOfficial
    new = stored.isNew
  }
}

/// Says what is in the cache now.
func sayStored(_ stored: StoredWeights, json: Bool) throws {
  if json { return try sayJSON(WeightsLine(stored)) }
  say("\(stored.backbone): \(stored.isNew ? "" : "there already, ")\(stored.byteCount.megabytes), \(stored.url.path)")
  if !stored.isOfficial {
    warn("these are not the published weights of \(stored.backbone); --preprocessing may have to say what they expect")
  }
}

extension Int {
  /// `97.8 MB`: a million bytes each.
  var megabytes: String { "\((Double(self) / 1e6).formatted(digits: 1)) MB" }
}
