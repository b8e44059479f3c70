import Foundation
import ImageSimilarityKit

/// Indexes a folder of pictures together with PPM files, which the package itself does not decode.
@main
struct OwnDecoder {
  static func main() async throws {
    guard CommandLine.arguments.count == 4 else {
      print("usage: OwnDecoder PHOTOS PICTURE FOLDER-FOR-PPM-AND-MODEL")
      exit(2)
    }
    let photos = URL(fileURLWithPath: CommandLine.arguments[1])
    let picture = URL(fileURLWithPath: CommandLine.arguments[2])
    let folder = URL(fileURLWithPath: CommandLine.arguments[3])

    let copy = try VipsImageDecoder().decode(.file(picture), maximumSide: 320)
    let ppm = folder.appending(path: "copy.ppm")
    try (Data("P6\n# a copy\n\(copy.size.width) \(copy.size.height)\n255\n".utf8) + copy.pixels).write(to: ppm)

    var options = SimilarityModel.Options()
    options.decoder = PPMDecoder()
    let model = try await SimilarityModel.create(
      at: folder.appending(path: "decoder.imsim"), from: .joined([.folder(photos), .files([ppm])]), options: options)

    for skipped in try model.skipped { print("skipped", skipped.id, skipped.reason) }
    for hit in try await model.query(.file(ppm), k: 3) {
      print(hit.rank, hit.distance, hit.id)
    }
  }
}
