public import ArgumentParser
public import ImageSimilarityCoreML
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension CoreMLWeights: ExpressibleByArgument {}

/// How a model becomes a Core ML file.
struct CoreMLArguments: ParsableArguments {
  @Option(
    name: .customLong("coreml"),
    help: ArgumentHelp("The Core ML file to write, in place of another one.", valueName: "out.mlmodel"))
  var path: String?

  @Option(
    name: .customLong("coreml-weights"),
    help: "How the network's weights and the embeddings are stored in it. Default: \(CoreMLWeights.fp32.rawValue).")
  var weights: CoreMLWeights?

  @Flag(
    help: """
      Only the network, which gives embeddings; the model's embeddings go beside it (.safetensors, .jsonl). For collections \
      too large for one file.
      """)
  var featuresOnly = false

  @Option(name: .customLong("coreml-author"), help: ArgumentHelp("As Xcode shows it.", valueName: "name"))
  var author: String?

  @Option(name: .customLong("coreml-license"), help: ArgumentHelp("As Xcode shows it.", valueName: "text"))
  var license: String?

  private struct Summary: Encodable {
    var images: Int
    var dimension: Int
    var output: String
    var bytes: Int
    var embeddings: String?
    var records: String?
  }

  /// The Core ML file to write; nil where `output` is a file of another kind.
  func file(_ output: String?) throws -> String? {
    guard let file = path ?? output else { throw ValidationError("Give the file to write") }
    if path != nil, output != nil { throw ValidationError("Give one file to write: \(file) or \(output ?? "")") }
    if URL(argument: file).pathExtension.lowercased() == "mlmodel" { return file }
    guard path == nil else {
      throw ValidationError("expected a file with the extension mlmodel after --coreml; found \(file)")
    }
    guard weights == nil, !featuresOnly, author == nil, license == nil else {
      throw ValidationError(
        "--coreml-weights, --coreml-author, --coreml-license and --features-only are for .mlmodel files")
    }
    return nil
  }

  func export(model: String, to file: String, json: Bool) async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model), options: .commandLine)
    let url = URL(argument: file)
    var options = CoreMLOptions()
    options.weights = weights ?? .fp32
    options.featuresOnly = featuresOnly
    options.author = author ?? ""
    options.license = license ?? ""
    let result = try model.exportCoreML(to: url, options: options)
    let records = result.index.map { EmbeddingTable.recordsURL(beside: $0).path }
    if json {
      try sayJSON(
        Summary(
          images: result.images, dimension: result.dimension, output: url.path, bytes: result.bytes,
          embeddings: result.index?.path, records: records))
    } else {
      let size = "\((Double(result.bytes) / 1e6).formatted(digits: 1)) MB, iOS \(options.weights.minimumIOS) and later"
      if let index = result.index, let records {
        say(
          "\(file): \(result.dimension)-d embeddings, \(size); \(result.images) of them in \(index.path), records in \(records)"
        )
      } else {
        say("\(file): distances to \(result.images.counted("picture")), \(size)")
      }
    }
  }
}
