internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Repair: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Removes what is damaged from a model.",
    discussion: """
      Reads all files and compares them with their checksums. Segments that do not match are removed in one step; index the \
      same folder again to bring their pictures back. A model that is sound stays as it is.

      Examples:
        imsim repair photos.imsim
        imsim repair photos.imsim --json
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Flag(help: "Print the result as one JSON object: damaged (files, reason, rows), images_lost, images.")
  var json = false

  private struct Summary: Encodable {
    var damaged: [DamagedSegment]
    var imagesLost: Int
    var images: Int

    private enum CodingKeys: String, CodingKey {
      case damaged, images
      case imagesLost = "images_lost"
    }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let damaged = try await model.repair()
    let lost = damaged.reduce(0) { $0 + $1.rows }
    if json { return try sayJSON(Summary(damaged: damaged, imagesLost: lost, images: model.count)) }
    for segment in damaged { say("removed \(segment.rows.counted("picture")): \(segment.reason)") }
    say(
      damaged.isEmpty
        ? "nothing is damaged, \(model.count.counted("picture"))"
        : "\(model.count.counted("picture")) left; index the folder again to bring \(lost.counted("picture")) back")
  }
}
