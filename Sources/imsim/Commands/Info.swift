internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Info: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what a model holds and what made it.",
    discussion: """
      Examples:
        imsim info photos.imsim
        imsim info photos.imsim --verify
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Flag(help: "Read all files and compare their checksums.")
  var verify = false

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    let summary = model.summary()
    if json { try sayJSON(summary) } else { describe(summary) }
    if verify {
      try model.verify()
      if !json { say("all checksums match") }
    }
  }

  private func describe(_ summary: ModelSummary) {
    let extractor = summary.extractor
    say(
      """
      images         \(summary.images)
      skipped        \(summary.skipped)
      dimension      \(extractor.fingerprint.dimension)
      metric         \(summary.metric.rawValue)
      storage        \(summary.elements.rawValue)
      backbone       \(extractor.fingerprint.architecture), layer \(extractor.fingerprint.layer)
      weights        \(extractor.weightsPath ?? "bundled"), sha-256 \(extractor.fingerprint.weights)
      precision      \(extractor.fingerprint.precision)
      preprocessing  \(extractor.fingerprint.preprocessing)
      input          \(extractor.input.size), \(extractor.input.resize.rawValue)
      segments       \(summary.segments), \(summary.bytes) bytes
      format         \(summary.formatVersion)
      """)
    for damaged in summary.damaged {
      say("damaged        \(damaged.rows.counted("image")): \(damaged.reason)")
    }
  }
}
