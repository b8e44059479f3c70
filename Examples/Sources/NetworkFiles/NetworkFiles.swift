import Foundation
import ImageSimilarityCoreML
import ImageSimilarityKit
import ImageSimilarityONNX

/// Takes a model's network out as an ONNX file, brings it in again as anybody's, and writes a Core ML file for an app.
@main
struct NetworkFiles {
  static func main() async throws {
    guard CommandLine.arguments.count == 3 else {
      print("usage: NetworkFiles PHOTOS FOLDER-FOR-FILES")
      exit(2)
    }
    let photos = URL(fileURLWithPath: CommandLine.arguments[1])
    let folder = URL(fileURLWithPath: CommandLine.arguments[2])

    // For servers in other languages: bytes in, embeddings out.
    let file = folder.appending(path: "network.onnx")
    try NetworkExtractor.bundled().writeONNX(to: file)

    // Any network that was exported from PyTorch or elsewhere comes in like this.
    let network = try ONNXNetwork(contentsOf: file)
    print("embedding \(network.embedding): \(network.embeddingReason)")
    let model = try await SimilarityModel.create(
      at: folder.appending(path: "onnx.imsim"), from: .folder(photos), extractor: NetworkExtractor(network))
    for id in try model.ids.prefix(3) {
      for hit in try await model.query(.id(id), k: 2) where hit.id != id { print(id, "->", hit.id, hit.distance) }
    }

    // For an app: a picture in, its distance to each picture of the model out.
    let bundled = try await SimilarityModel.create(at: folder.appending(path: "bundled.imsim"), from: .folder(photos))
    var options = CoreMLOptions()
    options.weights = .fp16
    let summary = try bundled.exportCoreML(to: folder.appending(path: "photos.mlmodel"), options: options)
    print("photos.mlmodel: \(summary.images) pictures, \(summary.bytes) bytes")
  }
}
