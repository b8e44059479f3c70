internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Remove: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Removes pictures from a model.",
    discussion: """
      The picture files stay as they are; where they stay in the folder, indexing it again brings them back.

      Example:
        imsim remove photos.imsim 2019/blurred.jpg
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("Ids, as 'imsim query' prints them.", valueName: "id"))
  var ids: [String]

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let unknown = try ids.filter { try !model.contains($0) }
    let removed = try await model.remove(ids)
    say("removed \(removed.counted("picture")), \(model.count) left")
    if !unknown.isEmpty {
      warn("not in the model: \(unknown.joined(separator: ", "))")
      throw ExitCode(1)
    }
  }
}
