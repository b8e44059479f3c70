internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct WeightsPath: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "path",
    abstract: "Prints the folder of the weights, or a network's file.",
    discussion: """
      Examples:
        imsim weights path
        imsim weights path resnet-50
      """)

  @Argument(help: ArgumentHelp("A network; see 'imsim weights list'.", valueName: "name"))
  var name: String?

  func run() throws {
    let cache = WeightsCache.standard
    guard let name else { return say(cache.folder.path) }
    let backbone = try Backbones.named(name).name
    guard let url = cache.url(for: backbone) else {
      throw SimilarityError(.weightsUnreadable, "\(cache.folder.path) has no weights of \(backbone)")
    }
    say(url.path)
  }
}
