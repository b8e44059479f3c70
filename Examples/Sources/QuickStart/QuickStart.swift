import Foundation
import ImageSimilarityKit

/// Indexes a folder of pictures and prints those that look most like one picture.
@main
struct QuickStart {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4 else {
      print("usage: QuickStart PHOTOS MODEL PICTURE")
      exit(2)
    }
    let photos = URL(fileURLWithPath: arguments[1])
    let modelURL = URL(fileURLWithPath: arguments[2])
    let picture = URL(fileURLWithPath: arguments[3])

    let model = try await SimilarityModel.create(at: modelURL, from: .folder(photos))
    print("\(model.count) pictures, \(try model.skipped.count) could not be read")

    for hit in try await model.query(.file(picture), k: 5) {
      print(hit.rank, hit.distance, hit.id)
    }
  }
}
