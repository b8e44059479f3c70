internal import ArgumentParser
internal import ImageSimilarityKit

struct BackbonesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backbones",
    abstract: "Lists the networks.",
    discussion: """
      Example:
        imsim backbones --json
      """)

  @Flag(help: "Print a JSON object per network.")
  var json = false

  private struct Line: Encodable {
    var name: String
    var dimensions: [String: Int]
    var input: [Int]
    var preprocessing: Preprocessing
    var bundled: Bool
    var weights: String?
  }

  func run() throws {
    for backbone in Backbones.all {
      let dimensions = backbone.outputDimensions
      let official = OfficialWeights.of(backbone.name)
      let isBundled = backbone.name == NetworkExtractor.bundledBackbone
      if json {
        try sayJSON(
          Line(
            name: backbone.name,
            dimensions: Dictionary(uniqueKeysWithValues: dimensions.map { ($0.key.rawValue, $0.value) }),
            input: [backbone.inputSize.height, backbone.inputSize.width, 3], preprocessing: backbone.preprocessing,
            bundled: isBundled, weights: official?.url))
      } else {
        say("\(backbone.name)\(isBundled ? " (default)" : "")")
        say("  input          \(backbone.inputSize)")
        for layer in EmbeddingLayer.allCases {
          if let dimension = dimensions[layer] { say("  \(layer.rawValue.padded(to: 13))  \(dimension)-d") }
        }
        say("  preprocessing  \(backbone.preprocessing.rawValue)")
        say("  weights        \(isBundled ? "bundled (pooled layer only)" : official?.url ?? "your own")")
      }
    }
  }
}
