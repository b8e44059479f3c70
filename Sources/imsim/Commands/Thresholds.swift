internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Thresholds: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Learns what distances mean: 'the same picture' and 'the same kind of thing'.",
    discussion: """
      Learns the probability that a hit is the same picture from edited copies of the model's own pictures (cropped, \
      recompressed, resized, mirrored, brighter, darker, grey, tilted, with a watermark), and that it is the same kind of thing \
      from labels (or else from the folders that pictures lie in), or both from pairs that somebody judged. Keeps what it \
      learnt in the model, for 'imsim query --probability', and prints which distance gives which precision, and how far the \
      probabilities can be believed, measured on pairs that were not learnt from.

      A probability speaks of a query and one of its ten nearest pictures, half of the queries being copies; with pairs, of \
      pairs like these.

      Examples:
        imsim thresholds photos.imsim
        imsim thresholds photos.imsim --precision .97 --confidence .95
        imsim thresholds photos.imsim --pairs pairs.csv
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "Learn 'the same picture' from these pairs instead: CSV of id,id,same, or JSON Lines of {\"a\", \"b\", \"same\"}.",
      valueName: "file"))
  var pairs: String?

  @Option(help: ArgumentHelp("Learn 'the same kind of thing' from these pairs instead.", valueName: "file"))
  var kindPairs: String?

  @Option(
    help: ArgumentHelp(
      "With pairs: the part of them that would be the same where the probabilities are asked for. Default: as in the file.",
      valueName: "0...1"))
  var baseRate: Double?

  @Option(help: ArgumentHelp("Show the threshold for this precision, too; may be repeated.", valueName: "0...1"))
  var precision: [Double] = []

  @Option(
    help: ArgumentHelp(
      "Show thresholds whose precision is at least the wanted one with this confidence, instead of those where it was so.",
      valueName: "0.5...1"))
  var confidence: Double?

  @Option(help: "Pictures to make copies of, at most.")
  var pictures = CopyCalibrationOptions().pictures

  @Option(help: ArgumentHelp("The weights that made the model, where that file has moved.", valueName: "file"))
  var weights: String?

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    for value in precision where !(value > 0 && value < 1) {
      throw ValidationError("--precision is between 0 and 1; found \(value)")
    }
    if let confidence, !(confidence >= 0.5 && confidence < 1) {
      throw ValidationError("--confidence is from 0.5 to below 1; found \(confidence)")
    }
    if let baseRate, !(baseRate > 0 && baseRate < 1) {
      throw ValidationError("--base-rate is between 0 and 1; found \(baseRate)")
    }
    if baseRate != nil, pairs == nil, kindPairs == nil {
      throw ValidationError("--base-rate is for --pairs or --kind-pairs")
    }
    if pictures < 1 { throw ValidationError("--pictures is at least 1; found \(pictures)") }
  }

  func run() async throws {
    let url = URL(argument: model)
    let extractor = try weights.map { try ExtractorOptions.parse(["--weights", $0]).makeExtractor(reopening: url) }
    let model = try await SimilarityModel.open(at: url, extractor: extractor, options: .commandLine)
    var calibration = SimilarityCalibration(of: model)
    var problems: [String] = []
    if let pairs {
      calibration.samePicture = try await judged(pairs, model)
    } else {
      var options = CopyCalibrationOptions()
      options.pictures = pictures
      calibration.samePicture = try await part("the same picture", &problems) { [options] progress in
        try await model.calibrateSamePicture(options) { progress("copies of pictures: \($0) of \($1)") }
      }
    }
    if let kindPairs {
      calibration.sameKind = try await judged(kindPairs, model)
    } else {
      calibration.sameKind = try await part("the same kind of thing", &problems) { progress in
        try await model.calibrateSameKind { progress("pictures and their neighbours: \($0) of \($1)") }
      }
    }
    for problem in problems { warn(problem) }
    if calibration.sameKind?.source == .labels, model.fingerprint.projection != nil {
      warn(
        "the model has learnt a metric; where it learnt it from these labels, other pictures fit it less well, and 'the same "
          + "kind of thing' is less probable than it says")
    }
    if calibration.samePicture == nil, calibration.sameKind == nil { throw ExitCode(1) }
    try await model.setSimilarityCalibration(calibration)
    let tables = [
      ThresholdTable("same_picture", "the same picture", calibration.samePicture, precision, confidence),
      ThresholdTable("same_kind", "the same kind of thing", calibration.sameKind, precision, confidence),
    ].compactMap { $0 }
    if json { return try sayJSON(Dictionary(uniqueKeysWithValues: tables.map { ($0.name, $0) })) }
    say(tables.map(\.text).joined(separator: "\n\n"))
  }

  private func judged(_ file: String, _ model: SimilarityModel) async throws -> SimilarityCalibration.Part {
    try await model.calibrate(on: JudgedPair.read(contentsOf: URL(argument: file)), baseRate: baseRate)
  }

  /// One of the two; nil with a problem where there is nothing to learn it from, which leaves the other.
  private func part(
    _ name: String, _ problems: inout [String],
    _ learn:
      @escaping @Sendable (_ progress: @escaping @Sendable (String) -> Void) async throws -> SimilarityCalibration.Part
  ) async throws -> SimilarityCalibration.Part? {
    let line = ProgressLine()
    do {
      return try await interruptible {
        defer { line.clear() }
        return try await learn { text in line.show { _ in text } }
      }
    } catch let error as SimilarityError where error.code == .invalidArgument {
      problems.append("\(name): \(error.message)")
      return nil
    }
  }
}
