internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Export: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a model's embeddings and records for other programs.",
    discussion: """
      The extension says what is written: .npy is a NumPy array, .safetensors has the tensor 'embeddings', .faiss is an index \
      that faiss.read_index opens, whose labels are the rows' numbers. Beside it, a .jsonl file of the same name has a record \
      a line, in the order of the rows, which is that of the ids. FAISS has no cosine: it gets the inner product of \
      normalized vectors. .mlmodel is a Core ML file for apps: a picture in, its distance to each picture of the model out. \
      .onnx is the network alone, for servers in other languages: a picture in, its embedding out.

      Examples:
        imsim export photos.imsim photos.npy
        imsim export photos.imsim photos.faiss --json
        imsim export photos.imsim --coreml photos.mlmodel --coreml-weights fp16
        imsim export photos.imsim network.onnx --onnx-weights float16 --normalize
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("The file to write.", valueName: "out.npy, .safetensors, .faiss, .mlmodel or .onnx"))
  var output: String?

  @OptionGroup(title: "Core ML") var coreML: CoreMLArguments

  @OptionGroup(title: "ONNX") var onnx: ONNXExportArguments

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    let isCoreML = try coreML.file(output) != nil
    let isONNX = try onnx.isFor(output)
    if !isCoreML, !isONNX { _ = try EmbeddingTable.Format(argument: output ?? "") }
  }

  private struct Summary: Encodable {
    var images: Int
    var dimension: Int
    var output: String
    var records: String
  }

  func run() async throws {
    if let file = try coreML.file(output) {
      try await coreML.export(model: model, to: file, json: json)
      return
    }
    let output = output ?? ""
    if try onnx.isFor(output) { return try await onnx.export(model: model, to: output, json: json) }
    let format = try EmbeddingTable.Format(argument: output)
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let url = URL(argument: output)
    let count = try model.export(to: url, as: format)
    let records = EmbeddingTable.recordsURL(beside: url).path
    let dimension = model.fingerprint.dimension
    if json {
      try sayJSON(Summary(images: count, dimension: dimension, output: url.path, records: records))
    } else {
      say("\(output): \(count) x \(dimension), records in \(records)")
    }
  }
}

extension EmbeddingTable.Format {
  /// What a file's extension says.
  init(argument path: String) throws {
    guard let format = EmbeddingTable.Format(rawValue: URL(argument: path).pathExtension.lowercased()) else {
      throw ValidationError(
        "expected a file with the extension npy, safetensors, faiss, mlmodel or onnx; found \(path)")
    }
    self = format
  }
}
