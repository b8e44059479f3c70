public import ArgumentParser
public import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Duplicates: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Finds copies, edited copies and bursts among the pictures of a model.",
    discussion: """
      Copies are recognised by their pixels, however they were resized, recompressed, cropped, turned, mirrored, brightened \
      or marked; so the files must be where they were indexed. Each group has a best picture, with the reason. Nothing is \
      changed unless --move-to says so, and nothing is ever deleted: all but the best picture of each group of copies go \
      into that folder, and --undo brings them back. Choose a folder that is not indexed itself. Index the pictures again \
      after moving any.

      What you say with --not-duplicates and --keep is remembered in the model.

      Examples:
        imsim duplicates photos.imsim
        imsim duplicates photos.imsim --kind exact --kind edited --json
        imsim duplicates photos.imsim --sheet groups.jpg
        imsim duplicates photos.imsim --not-duplicates a.jpg b.jpg
        imsim duplicates photos.imsim --keep 2019/a.jpg
        imsim duplicates photos.imsim --move-to aside --dry-run
        imsim duplicates photos.imsim --undo aside
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Option(help: ArgumentHelp("Only groups of this kind; may be repeated. (values: exact, edited, burst)", valueName: "kind"))
  var kind: [DuplicateKind] = []

  @Option(help: ArgumentHelp("Shots within so many seconds may be of one burst.", valueName: "seconds"))
  var burstSeconds = 10.0

  @OptionGroup var filter: FilterOptions

  @Option(
    name: .customLong("sheet"), help: ArgumentHelp("Write the groups as one picture, a row each.", valueName: "out.jpg"))
  var sheet: String?

  @Flag(help: "Print the report, or what was done, as one JSON object.")
  var json = false

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Remember that these pictures are not duplicates of one another.", valueName: "id"))
  var notDuplicates: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Remember that these pictures are the ones to keep.", valueName: "id"))
  var keep: [String] = []

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Forget what was said about these pictures.", valueName: "id"))
  var forget: [String] = []

  @Option(help: ArgumentHelp("Move all but the best of each group of copies into a folder.", valueName: "folder"))
  var moveTo: String?

  @Flag(help: "Only show what --move-to would do.")
  var dryRun = false

  @Option(help: ArgumentHelp("Move what --move-to has moved into a folder back.", valueName: "folder"))
  var undo: String?

  func validate() throws {
    if notDuplicates.count == 1 { throw ValidationError("--not-duplicates needs two ids or more") }
    if dryRun, moveTo == nil { throw ValidationError("--dry-run belongs to --move-to") }
    if moveTo != nil, undo != nil { throw ValidationError("Give either --move-to or --undo") }
    if !(burstSeconds >= 0) { throw ValidationError("--burst-seconds must be 0 or more") }
  }

  func run() async throws {
    if let undo {
      let result = try await interruptible { try DuplicateMover(to: URL(argument: undo)).undo() }
      return try show(result, did: "moved back")
    }
    let model = try await SimilarityModel.open(at: URL(argument: model))
    if try await remember(in: model) { return }
    let line = ProgressLine()
    let report = try await interruptible { [self] in
      var options = DuplicateOptions()
      if !kind.isEmpty { options.kinds = Set(kind) }
      options.burstSeconds = burstSeconds
      options.predicate = filter.predicate
      return try await model.duplicates(options) { progress in
        line.show { _ in Self.text(progress) }
      }
    }
    line.clear()
    for picture in report.unreadable.prefix(10) { warn("\(picture.id): \(picture.reason)") }
    if report.unreadable.count > 10 { warn("and \(report.unreadable.count - 10) more that cannot be read") }
    if let sheet { try Self.sheet(report).write(to: URL(argument: sheet)) }
    if let moveTo { return try await move(report, to: URL(argument: moveTo)) }
    if json { return try sayJSON(report) }
    show(report)
  }

  private func remember(in model: SimilarityModel) async throws -> Bool {
    guard !notDuplicates.isEmpty || !keep.isEmpty || !forget.isEmpty else { return false }
    var verdicts = try model.duplicateVerdicts()
    verdicts.forget(forget)
    verdicts.separate(notDuplicates)
    verdicts.keep.formUnion(keep)
    try await model.setDuplicateVerdicts(verdicts)
    if json {
      try sayJSON(verdicts)
    } else {
      say(
        "remembered: \(verdicts.notDuplicates.count.counted("pair")) that are not duplicates, "
          + "\(verdicts.keep.count.counted("picture")) to keep")
    }
    return true
  }

  private static func text(_ progress: DuplicateProgress) -> String {
    switch progress.stage {
    case .reading: "reading \(progress.done) of \(progress.total) pictures"
    case .pairing: "looking for pairs among \(progress.total) pictures"
    case .comparing: "comparing \(progress.done) of \(progress.total) pairs"
    case .choosing: "choosing the best of \(progress.done) of \(progress.total) groups"
    }
  }

  private func show(_ report: DuplicateReport) {
    for (number, group) in report.groups.enumerated() {
      say(
        "\(number + 1). \(group.kind.rawValue), \(group.members.count.counted("picture")), worst pair "
          + group.worstPair.similarity.formatted(digits: 3))
      for member in group.members {
        let mark = member.id == group.best ? "*" : " "
        let size = "\(member.width) x \(member.height), \(member.bytes.asFileSize)"
        let note = member.id == group.best ? group.reason : member.edits.joined(separator: ", ")
        say("  \(mark) \(member.id.onOneLine)  \(size)\(note.isEmpty ? "" : "  \(note)")")
      }
    }
    let counts = DuplicateKind.allCases.map { "\(report.groups(of: $0).count) \($0.rawValue)" }
    say("\(report.images.counted("image")), groups: \(counts.joined(separator: ", "))")
  }

  private func move(_ report: DuplicateReport, to folder: URL) async throws {
    let members = DuplicateMover.candidates(report)
    let mover = DuplicateMover(to: folder)
    if dryRun {
      return try show(DuplicateMover.Result(moved: mover.plan(members)), did: "would be moved")
    }
    let result = try await interruptible { try mover.move(members) }
    try show(result, did: "moved")
  }

  private func show(_ result: DuplicateMover.Result, did: String) throws {
    if json {
      try sayJSON(result)
    } else {
      for move in result.moved { say("\(move.from.onOneLine) -> \(move.to.onOneLine)") }
      say("\(result.moved.count.counted("file")) \(did)")
    }
    for failure in result.failed { warn("\(failure.id.onOneLine): \(failure.reason)") }
    if !result.failed.isEmpty { throw ExitCode(1) }
  }

  private static func sheet(_ report: DuplicateReport) -> ContactSheet {
    ContactSheet(
      rows: report.groups.prefix(200).map { group in
        group.members.prefix(12).map { member in
          let isBest = member.id == group.best
          return ContactSheet.Tile(
            source: .file(URL(fileURLWithPath: member.path)), title: isBest ? "best" : group.kind.rawValue,
            lines: [isBest ? group.reason : member.edits.joined(separator: ", "), member.id], isQuery: isBest)
        }
      })
  }
}

extension DuplicateKind: ExpressibleByArgument {}

extension Int64 {
  fileprivate var asFileSize: String {
    self < 100_000 ? "\((Double(self) / 1000).formatted(digits: 1)) kB" : "\((Double(self) / 1_000_000).formatted(digits: 1)) MB"
  }
}

extension String {
  /// Control characters, which file names may have, as question marks: they would change the terminal.
  fileprivate var onOneLine: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
  }
}
