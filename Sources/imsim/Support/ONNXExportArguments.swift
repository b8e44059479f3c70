public import ArgumentParser
internal import ImageSimilarityKit
public import ImageSimilarityONNX

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ONNXExportOptions.WeightType: ExpressibleByArgument {}

/// How a model's network becomes an ONNX file.
struct ONNXExportArguments: ParsableArguments {
  @Option(
    name: .customLong("onnx-weights"),
    help: "How the network's weights are stored. Default: \(ONNXExportOptions.WeightType.float32.rawValue).")
  var weights: ONNXExportOptions.WeightType?

  @Flag(help: "Divide embeddings by their length, so that their inner product is the cosine.")
  var normalize = false

  private struct Summary: Encodable {
    var dimension: Int
    var output: String
    var bytes: Int
  }

  /// Whether `output` is an ONNX file.
  func isFor(_ output: String?) throws -> Bool {
    if let output, URL(argument: output).pathExtension.lowercased() == "onnx" { return true }
    guard weights == nil, !normalize else {
      throw ValidationError("--onnx-weights and --normalize are for .onnx files")
    }
    return false
  }

  func export(model: String, to file: String, json: Bool) async throws {
    let extractor = try ExtractorOptions.parse([]).makeExtractor(reopening: URL(argument: model))
    if try await SimilarityModel.open(at: URL(argument: model)).fingerprint.projection != nil {
      warn("\(file) is the network alone, without the projection that the model has learnt")
    }
    let url = URL(argument: file)
    let options = ONNXExportOptions(weightType: weights ?? .float32, transforms: normalize ? [.normalization] : [])
    try extractor.writeONNX(to: url, options: options)
    let bytes = try MappedFile(contentsOf: url).count
    if json {
      try sayJSON(Summary(dimension: extractor.dimension, output: url.path, bytes: bytes))
    } else {
      let input = extractor.specification.input
      say(
        "\(file): \((Double(bytes) / 1e6).formatted(digits: 1)) MB; image, uint8 [batch, \(input.size.height), "
          + "\(input.size.width), 3], to embedding, float32 [batch, \(extractor.dimension)]")
    }
  }
}
