internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Import: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a model of embeddings that were made elsewhere, or adds them to one.",
    discussion: """
      A record is a line of JSON: {"id", "path", "label", "metadata"}, each of which may be missing. A row without an id gets \
      its number, or its label in a FAISS index. Where the model exists, the embeddings must be its extractor's; rows whose \
      ids are there already are replaced. A new model can be searched by id and by vector, not by picture.

      Examples:
        imsim import photos.imsim photos.npy --records photos.jsonl
        imsim import words.imsim words.faiss --metric euclidean --extractor clip-vit-b32
      """)

  @Argument(help: "The model's folder; made if it does not exist.")
  var model: String

  @Argument(help: ArgumentHelp("The embeddings.", valueName: "in.npy, .safetensors or .faiss"))
  var input: String

  @Option(help: ArgumentHelp("A record a line, in the order of the rows.", valueName: "records.jsonl"))
  var records: String?

  @Option(help: "How far apart embeddings are, for a new model. Default: \(Metric.cosine.rawValue).")
  var metric: Metric?

  @Option(help: ArgumentHelp("What made the embeddings, for a new model. Default: imported.", valueName: "name"))
  var extractor: String?

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws { _ = try EmbeddingTable.Format(argument: input) }

  private struct Summary: Encodable {
    var imported: Int
    var images: Int
    var dimension: Int
    var metric: Metric
    var extractor: String
  }

  func run() async throws {
    let table = try EmbeddingTable(
      contentsOf: URL(argument: input), as: EmbeddingTable.Format(argument: input),
      records: records.map { URL(argument: $0) })
    let url = URL(argument: model)
    let model: SimilarityModel
    if SimilarityModel.exists(at: url) {
      guard metric == nil, extractor == nil else {
        throw SimilarityError(
          .invalidArgument, "\(self.model) exists, and has its metric and extractor: leave out --metric and --extractor"
        )
      }
      model = try await SimilarityModel.open(at: url)
      try await model.add(importing: table)
    } else {
      var options = SimilarityModel.Options()
      options.metric = metric ?? .cosine
      model = try await SimilarityModel.create(
        at: url, importing: table,
        specification: .imported(extractor ?? "imported", dimension: table.embeddings.dimension), options: options)
    }
    let summary = Summary(
      imported: table.records.count, images: model.count, dimension: table.embeddings.dimension, metric: model.metric,
      extractor: model.extractor.fingerprint.architecture)
    if json { return try sayJSON(summary) }
    say(
      "\(self.model): imported \(summary.imported.counted("embedding")) of \(summary.dimension) elements, \(summary.images) in all"
    )
  }
}
