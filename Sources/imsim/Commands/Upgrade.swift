internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Upgrade: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Rewrites a model of an earlier version of the on-disk format.",
    discussion: """
      Nothing is embedded again. The model needs its size on the disk a second time while this runs; interrupted, it is as it \
      was.

      Example:
        imsim upgrade photos.imsim
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Flag(help: "Print the result as one JSON object: upgraded, images, format_version.")
  var json = false

  private struct Summary: Encodable {
    var upgraded: Bool
    var images: Int
    var formatVersion: Int

    private enum CodingKeys: String, CodingKey {
      case upgraded, images
      case formatVersion = "format_version"
    }
  }

  func run() async throws {
    let url = URL(argument: model)
    let upgraded = try await SimilarityModel.upgrade(at: url)
    let summary = try await SimilarityModel.open(at: url).summary()
    if json {
      return try sayJSON(
        Summary(upgraded: upgraded, images: summary.images, formatVersion: summary.formatVersion))
    }
    say(
      upgraded
        ? "\(model) has version \(summary.formatVersion) of the format now, \(summary.images.counted("picture"))"
        : "\(model) has version \(summary.formatVersion) of the format already")
  }
}
