internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Evaluate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures how well a model finds pictures of the same class.",
    discussion: """
      Every picture in turn is the query, and all others are ranked by distance. A picture's class is its label, or else the \
      name of the folder that it lies in.

      Example:
        imsim evaluate photos.imsim
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let result = try await interruptible { try await model.evaluate() }
    if json { return try sayJSON(result) }
    say(
      """
      images                  \(result.images)
      classes                 \(result.classes)
      precision at 1          \(result.precisionAt1.formatted(digits: 4))
      precision at 5          \(result.precisionAt5.formatted(digits: 4))
      mean average precision  \(result.meanAveragePrecision.formatted(digits: 4))
      """)
  }
}
