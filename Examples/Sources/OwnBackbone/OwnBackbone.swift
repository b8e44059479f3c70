import Foundation
import ImageSimilarityKit

/// Describes a network that the package does not know, gives it weights, and finds pictures with it.
@main
struct OwnBackbone {
  static func main() async throws {
    guard CommandLine.arguments.count == 3 else {
      print("usage: OwnBackbone PHOTOS FOLDER-FOR-WEIGHTS-AND-MODEL")
      exit(2)
    }
    let photos = URL(fileURLWithPath: CommandLine.arguments[1])
    let folder = URL(fileURLWithPath: CommandLine.arguments[2])

    // Real weights come from a training framework, under the names that `TinyNet` gives its layers.
    let weights = folder.appending(path: "tiny-net.safetensors")
    try TinyNet().writeRandomWeights(to: weights, seed: 1)

    let extractor = try NetworkExtractor(TinyNet(), weights: WeightsFile(contentsOf: weights))
    print(extractor.specification.fingerprint)

    let model = try await SimilarityModel.create(
      at: folder.appending(path: "tiny-net.imsim"), from: .folder(photos), extractor: extractor)
    for id in try model.ids {
      for hit in try await model.query(.id(id), k: 2) where hit.id != id {
        print(id, "->", hit.id, hit.distance)
      }
    }
  }
}
