internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityONNX

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Calibrate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures the scales that a network needs for 8-bit arithmetic.",
    discussion: """
      The network looks at some of the pictures, taken evenly from the whole folder; the ranges of its activations are \
      written as a JSON file. 'imsim index --precision int8' does this by itself; a file makes it possible to give several \
      models the same scales, without which their embeddings are not comparable.

      Example:
        imsim calibrate photos --backbone resnet-50 --weights resnet50.pth -o scales.json
        imsim index photos --model photos.imsim --backbone resnet-50 --weights resnet50.pth --precision int8 \\
          --calibration scales.json
      """)

  @Argument(help: ArgumentHelp("Folders, which are searched to the bottom, or files.", valueName: "folder or file"))
  var paths: [String]

  @Option(name: [.short, .long], help: ArgumentHelp("The file to write.", valueName: "scales.json"))
  var output: String

  @Option(
    help: ArgumentHelp(
      "The network: a name of 'imsim backbones', or an ONNX file. Default: \(NetworkExtractor.bundledBackbone).",
      valueName: "name or net.onnx"))
  var backbone = NetworkExtractor.bundledBackbone

  @OptionGroup var onnx: ONNXOptions

  @Option(help: ArgumentHelp("The network's weights; see 'imsim index --help'.", valueName: "file"))
  var weights: String?

  @Option(help: "What the weights expect of pixels. Default: the backbone's usual one.")
  var preprocessing: Preprocessing?

  @Option(help: "How pictures get to the network's input size.")
  var resize = NetworkExtractor.defaultResize

  @Option(
    help: "The layer to read: the pooled embedding, or the class scores, which take in all that lies before them.")
  var layer = EmbeddingLayer.pooled

  @Option(help: "At most so many pictures.")
  var pictures = 128

  func validate() throws {
    guard (1...4096).contains(pictures) else {
      throw ValidationError("--pictures is a number from 1 to 4096; found \(pictures)")
    }
  }

  func run() async throws {
    let collection = try ImageCollection.arguments(paths)
    let calibration = try await interruptible { [self] in
      let extractor = try ExtractorChoice(
        backbone: backbone, onnx: onnx.choice, weights: weights, layer: layer, preprocessing: preprocessing,
        resize: resize
      ).makeExtractor()
      return try await extractor.calibration(on: collection, pictures: pictures)
    }
    try calibration.write(to: URL(argument: output))
    say(
      "\(output): \(calibration.ranges.count.counted("range")) of \(backbone) from "
        + "\(calibration.pictures.counted("picture")), digest \(calibration.digest)")
  }
}
