internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct WeightsAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Copies a file of weights into the cache, without a network.",
    discussion: """
      Published files are recognised by their SHA-256, others by their tensors. A file that no network can be made of is refused.

      Example:
        imsim weights add Downloads/resnet50-0676ba61.pth
      """)

  @Argument(help: ArgumentHelp("A safetensors file or a PyTorch state dictionary (.pth, .pt).", valueName: "file"))
  var file: String

  @Option(help: ArgumentHelp("The network that it is for.", valueName: "name"))
  var name: String?

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func run() throws {
    try sayStored(WeightsStore().add(URL(argument: file), as: name), json: json)
  }
}
