internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityONNX

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

enum LabelSource: String, ExpressibleByArgument, CaseIterable {
  case folder
}

struct Index: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Makes a model of pictures, or brings one up to date.",
    discussion: """
      A picture's id is its path relative to the folder that is indexed. Where the model exists, only what is new or has \
      changed is embedded. Files that are no readable pictures are passed over and listed with the reason in a file of the \
      model. Ctrl-C keeps what is done; the same command goes on from there.

      Examples:
        imsim index photos --model photos.imsim
        imsim index photos --model photos.imsim --backbone resnet-50 --weights resnet50.pth --precision int8
        imsim index photos --model photos.imsim --backbone my-net.onnx
        imsim index photos --model photos.imsim --prune --json
        imsim index photos --model photos.imsim --labels folder --records photos.csv
      """)

  @Argument(help: ArgumentHelp("Folders, which are searched to the bottom, or files.", valueName: "folder or file"))
  var paths: [String]

  @Option(help: ArgumentHelp("The model's folder; made if it does not exist.", valueName: "dir"))
  var model: String

  @OptionGroup var extractor: ExtractorOptions
  @OptionGroup var workers: ThreadOptions

  @Option(
    help: ArgumentHelp("How a new model stores embeddings; fp16 takes half the room.", valueName: "fp32|fp16"))
  var storage: ElementPrecision?

  @Option(help: "Label every picture with the name of the folder that holds it.")
  var labels: LabelSource?

  @OptionGroup var annotations: AnnotationOptions

  @Flag(help: "Remove pictures from the model whose files are gone.")
  var prune = false

  @Flag(help: "Say where the time has gone: processor seconds by stage.")
  var profile = false

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  private struct Summary: Encodable {
    var indexed: Int
    var skipped: Int
    var unchanged: Int
    var removed: Int?
    var seconds: Double
    var profile: Profile?
  }

  private struct Profile: Encodable {
    var imagesPerSecond: Double
    var seconds: Double
    var processorSeconds: PipelineProfile.Stages

    private enum CodingKeys: String, CodingKey {
      case seconds
      case imagesPerSecond = "images_per_second"
      case processorSeconds = "processor_seconds"
    }

    init(_ report: IndexingReport) {
      seconds = report.seconds
      imagesPerSecond = Double(report.indexed) / max(seconds, 1e-9)
      processorSeconds = report.profile.processorSeconds
    }
  }

  func run() async throws {
    let url = URL(argument: model)
    let annotations = try annotations.read()
    let arguments = try ImageCollection.arguments(paths)
    let collection = labels == .folder ? arguments.labeledByFolder() : arguments
    let line = ProgressLine()
    let (report, removed, annotated, skippedFile) = try await interruptible { [self] in
      defer { line.clear() }
      let model = try await openOrCreate(url, for: collection)
      let report = try await model.add(from: collection) { line.show($0) }
      let annotated = annotations.isEmpty ? nil : try await model.annotate(annotations)
      return (report, prune ? try await model.removeMissingFiles() : nil, annotated, model.skippedFile)
    }

    annotated?.warnOfUnknown()
    if json {
      try sayJSON(
        Summary(
          indexed: report.indexed, skipped: report.skipped.count, unchanged: report.unchanged, removed: removed,
          seconds: report.seconds, profile: profile ? Profile(report) : nil))
    } else {
      say(summary(report, removed, skippedFile))
      if profile { Terminal.standardError.write(report.profile.table(pictures: report.indexed) + "\n") }
    }
    if report.indexed + report.unchanged == 0 {
      warn("none of the \(report.skipped.count.counted("file")) is a picture that can be read")
      throw ExitCode(1)
    }
  }

  private func openOrCreate(_ url: URL, for collection: ImageCollection) async throws -> SimilarityModel {
    var options = SimilarityModel.Options.commandLine
    options.threads = workers.threads
    options.elements = storage ?? .fp32
    guard SimilarityModel.exists(at: url) else {
      // What the arguments lack shows before anything is made.
      try collection.checkIsReadable()
      return try await SimilarityModel.create(
        at: url, extractor: extractor.makeExtractor(calibratingOn: collection), options: options)
    }
    let chosen = extractor.isEmpty ? nil : try extractor.makeExtractor(reopening: url)
    let model = try await SimilarityModel.open(at: url, extractor: chosen, options: options)
    let stored = model.summary().elements
    if let storage, storage != stored {
      throw SimilarityError(
        .invalidArgument,
        "\(url.path) stores embeddings in \(stored.rawValue); make a new model for \(storage.rawValue)")
    }
    return model
  }

  private func summary(_ report: IndexingReport, _ removed: Int?, _ skippedFile: URL?) -> String {
    var parts = ["indexed \(report.indexed)", "unchanged \(report.unchanged)", "skipped \(report.skipped.count)"]
    if let removed { parts.append("removed \(removed)") }
    var text = "\(model): " + parts.joined(separator: ", ") + " in \(report.seconds.formatted(digits: 1)) s"
    if report.indexed > 0 {
      text += " (\((Double(report.indexed) / max(report.seconds, 1e-9)).formatted(digits: 1)) images/s)"
    }
    for image in report.skipped.prefix(5) { text += "\n  skipped \(image.id): \(image.reason)" }
    if report.skipped.count > 5, let file = skippedFile {
      text += "\n  all \(report.skipped.count) are listed in \(file.path)"
    }
    return text
  }
}
