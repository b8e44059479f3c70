import Foundation
import ImageSimilarityKit

/// Finds pictures by their colours alone, with an extractor that is no network.
@main
struct OwnExtractor {
  static func main() async throws {
    guard CommandLine.arguments.count == 3 else {
      print("usage: OwnExtractor PHOTOS MODEL")
      exit(2)
    }
    let photos = URL(fileURLWithPath: CommandLine.arguments[1])
    let modelURL = URL(fileURLWithPath: CommandLine.arguments[2])

    var options = SimilarityModel.Options()
    options.metric = .euclidean
    _ = try await SimilarityModel.create(
      at: modelURL, from: .folder(photos), extractor: ColorHistogram(), options: options)

    // A model remembers which extractor made it, but only those of the package can be made again from that.
    let model = try await SimilarityModel.open(at: modelURL, extractor: ColorHistogram())
    for id in try model.ids {
      for hit in try await model.query(.id(id), k: 3) where hit.id != id {
        print(id, "->", hit.id, hit.distance)
      }
    }
  }
}
