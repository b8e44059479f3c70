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

      Examples:
        imsim remove photos.imsim 2019/blurred.jpg
        imsim remove photos.imsim --where 'label=cat and metadata.year<2020'
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("Ids, as 'imsim query' prints them.", valueName: "id"))
  var ids: [String] = []

  @OptionGroup var filter: FilterOptions

  func validate() throws {
    if ids.isEmpty == (filter.predicate == nil) { throw ValidationError("Give either ids or --where") }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let unknown = try ids.filter { try !model.contains($0) }
    let removed = try await model.remove(try filter.predicate.map(model.ids(where:)) ?? ids)
    say("removed \(removed.counted("picture")), \(model.count) left")
    if !unknown.isEmpty {
      warn("not in the model: \(unknown.joined(separator: ", "))")
      throw ExitCode(1)
    }
  }
}
