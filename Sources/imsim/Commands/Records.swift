internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Records: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists what a model knows about its pictures, or sets labels and metadata.",
    discussion: """
      A line per picture, by id; without --json the columns are id, label and metadata, separated by tabs. --set changes the \
      labels and metadata that a file names, and keeps the rest; nothing is embedded again.

      Examples:
        imsim records photos.imsim --where 'label=cat and metadata.year>=2020'
        imsim records photos.imsim --json > records.jsonl
        imsim records photos.imsim --set photos.csv
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @OptionGroup var filter: FilterOptions

  @Option(
    help: ArgumentHelp("A file with labels and metadata, as for 'imsim index --records'.", valueName: "file"))
  var set: String?

  @Flag(help: "Print a JSON object per picture.")
  var json = false

  func validate() throws {
    if set != nil, filter.predicate != nil || json {
      throw ValidationError("--set changes records; --where and --json list them")
    }
  }

  func run() async throws {
    let annotations = try set.map { try ImageAnnotation.read(contentsOf: URL(argument: $0)) }
    let model = try await SimilarityModel.open(at: URL(argument: model))
    if let annotations {
      let report = try await model.annotate(annotations)
      say("set \(report.annotated.counted("record"))")
      report.warnOfUnknown()
      if !report.unknown.isEmpty { throw ExitCode(1) }
      return
    }
    for id in try model.ids {
      guard let record = try model.record(id), filter.predicate?.matches(record) ?? true else { continue }
      say(try json ? jsonLine(record) : row(record))
    }
  }

  private func row(_ record: ImageRecord) throws -> String {
    [record.id, record.label ?? "", try record.metadata.map { try jsonLine($0) } ?? ""].joined(separator: "\t")
  }
}
