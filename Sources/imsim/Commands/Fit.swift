internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Fit: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Teaches a model which pictures belong together.",
    discussion: """
      Learns a projection of the embeddings from labels, in seconds: pictures of one class come closer together, and the \
      vectors that are searched become shorter. How much it helps is measured on pictures, and on whole classes, that were \
      kept apart while learning; where it does not help, more of the original embedding is kept. The originals stay in the \
      model: it can be taught again with other labels, and --undo goes back.

      Pictures without a label, and classes of one picture, do no harm. In a file, a picture may have several lines: it \
      belongs to all of these classes.

      Examples:
        imsim fit photos.imsim --labels folder
        imsim fit photos.imsim --labels labels.csv --where 'metadata.year>=2020' --json
        imsim fit photos.imsim --undo
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Option(
    help: ArgumentHelp(
      "What a picture's label is: 'records' takes that of its record, or else the folder's name; 'folder' takes the folder's "
        + "name; a file (.csv or .jsonl) has lines of id or path, and label. Default: records.",
      valueName: "records, folder or file"))
  var labels: String?

  @OptionGroup var filter: FilterOptions

  @Flag(help: "Go back to what was before the last fit.")
  var undo = false

  @Flag(help: "Go back to the embeddings as the network made them, and forget all that was learnt.")
  var reset = false

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    guard undo || reset else { return }
    if undo == reset || labels != nil || filter.predicate != nil {
      throw ValidationError("--undo and --reset stand alone")
    }
  }

  private struct State: Encodable {
    var changed: Bool
    var dimension: Int
    var projection: String?

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(changed, forKey: .changed)
      try container.encode(dimension, forKey: .dimension)
      try container.encode(projection, forKey: .projection)
    }

    private enum CodingKeys: String, CodingKey { case changed, dimension, projection }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    if undo || reset {
      let before = model.fingerprint
      if undo { try await model.undoFit() } else { try await model.removeFit() }
      let after = model.fingerprint
      if json {
        return try sayJSON(
          State(changed: before != after, dimension: after.dimension, projection: after.projection))
      }
      return say(before == after ? "nothing was learnt, \(describe(after))" : "went back, \(describe(after))")
    }
    let labels = try readLabels(model)
    let predicate = filter.predicate
    let report = try await interruptible { try await model.fit(labels: labels, where: predicate) }
    if json { try sayJSON(report) } else { describe(report, model.fingerprint) }
  }

  private func readLabels(_ model: SimilarityModel) throws -> PictureLabels {
    switch labels {
    case nil, "records": return try model.labels()
    case "folder": return try model.folderLabels()
    case let file?:
      let labels = try model.labels(from: ImageAnnotation.read(contentsOf: URL(argument: file)))
      if !labels.unknown.isEmpty {
        warn("\(labels.unknown.count.counted("line")) of \(file) are about pictures that are not in the model")
      }
      return labels
    }
  }

  private func describe(_ fingerprint: ExtractorFingerprint) -> String {
    "vectors of \(fingerprint.dimension) elements"
      + (fingerprint.projection.map { ", projection \($0.prefix(12))" } ?? ", as the network makes them")
  }

  private func describe(_ report: FitReport, _ fingerprint: ExtractorFingerprint) {
    say(
      """
      learnt from \(report.labelledImages.counted("picture")) with labels, \(report.learntClasses) classes, in \
      \(report.seconds.formatted(digits: 1)) s: \(describe(fingerprint))

                              pictures   precision at 1       mean average precision
      """)
    say("                                     raw -> fitted        raw -> fitted")
    row("pictures held out", report.heldOutImages)
    row("classes held out", report.heldOutClasses)
    if report.heldOutImages == nil {
      say("too few pictures a class to measure what was learnt: have four in several classes")
    }
  }

  private func row(_ what: String, _ comparison: FitReport.Comparison?) {
    guard let comparison else { return }
    func column(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    func pair(_ a: Double, _ b: Double) -> String { "\(a.formatted(digits: 4)) -> \(b.formatted(digits: 4))" }
    say(
      what + column("\(comparison.images)", 30 - what.count)
        + column(pair(comparison.raw.precisionAt1, comparison.fitted.precisionAt1), 22)
        + column(pair(comparison.raw.meanAveragePrecision, comparison.fitted.meanAveragePrecision), 21))
  }
}
