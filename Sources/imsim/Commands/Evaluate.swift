internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Evaluate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures how well models find pictures of the same class.",
    discussion: """
      Every picture in turn is the query, and all others are ranked by distance. A picture's classes are the array labels in its \
      metadata, or else its label, or else the name of the folder that it lies in; a hit is right where it has a class in common \
      with the query.

      The measures are means over the queries; those over classes count each class the same. The brackets are confidence \
      intervals by the bootstrap over the queries. Several models are compared on the pictures, by their ids, that all of them \
      hold, and each with the first; p says how likely a difference at least as large would be between models that are equally good.

      A model that has been fitted knows the pictures it learnt from, and finds these better than others: choose others with --where, \
      or see the figures of 'imsim fit', which are of pictures that were kept apart.

      Examples:
        imsim evaluate photos.imsim
        imsim evaluate photos.imsim --per-class --k 1,5,100
        imsim evaluate photos.imsim --where 'metadata.split=test' --json
        imsim evaluate small.imsim large.imsim --csv figures.csv
        imsim evaluate photos.imsim --raw
      """)

  @Argument(help: ArgumentHelp("Models, made by 'imsim index'.", valueName: "model"))
  var models: [String]

  @OptionGroup var evaluation: EvaluationArguments

  @Flag(help: "Compare models that have been fitted with the embeddings that their networks made.")
  var raw = false

  @Option(help: "Show so many of the worst classes, and what is found in their place.")
  var worst = 5

  @Flag(help: "Show all classes.")
  var perClass = false

  @Option(
    help: ArgumentHelp(
      "Also write all measures, of all classes too, as comma-separated values: a line per model, class and measure.",
      valueName: "file"))
  var csv: String?

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    if models.isEmpty { throw ValidationError("Give a model, made by 'imsim index'") }
    if worst < 0 { throw ValidationError("--worst is a number of classes, at least 0; found \(worst)") }
  }

  func run() async throws {
    var entries: [EvaluatedModel] = []
    for name in models {
      let model = try await SimilarityModel.open(at: URL(argument: name))
      if raw {
        if try model.projection == nil {
          throw ValidationError("--raw is for models that have been fitted, and \(name) has not")
        }
        entries.append(EvaluatedModel(model, name: "\(name) (raw)", isRaw: true))
      }
      entries.append(EvaluatedModel(model, name: name))
    }
    let (models, options, subset) = (entries, evaluation.options, evaluation.subset)
    if models.count == 1 {
      let found = try await interruptible { try await models[0].model.evaluate(options, of: subset) }
      try writeCSV(found.csvLines(model: models[0].name))
      if json { return try sayJSON(found) }
      say(found.text(ranks: evaluation.k, worst: worst, perClass: perClass))
    } else {
      let found = try await interruptible { try await SimilarityModel.compare(models, options, of: subset) }
      try writeCSV(found.entries.flatMap { $0.evaluation.csvLines(model: $0.name) })
      if json { return try sayJSON(found) }
      say(found.text(ranks: evaluation.k, worst: worst, perClass: perClass))
    }
  }

  private func writeCSV(_ lines: [String]) throws {
    guard let csv else { return }
    let text = ([RetrievalEvaluation.csvHeader] + lines).map { $0 + "\r\n" }.joined()
    try writeAtomically(Data(text.utf8), to: URL(argument: csv))
  }
}
