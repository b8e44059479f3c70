internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityWeights

struct WeightsRemove: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Removes weights from the cache.",
    discussion: """
      Models that were made with them can then be searched by id, and take no pictures until the same weights are back.

      Example:
        imsim weights remove resnet-50
      """)

  @Argument(help: ArgumentHelp("Networks; see 'imsim weights list'.", valueName: "name"))
  var names: [String]

  func run() throws {
    let store = WeightsStore()
    let backbones = try names.map { try Backbones.named($0).name }
    var missing: [String] = []
    for name in backbones {
      if try store.remove(name) { say("removed the weights of \(name)") } else { missing.append(name) }
    }
    if !missing.isEmpty {
      warn("not in the cache: \(missing.joined(separator: ", "))")
      throw ExitCode(1)
    }
  }
}
