internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A page to look at, beside what a command prints.
struct ReportOptions: ParsableArguments {
  @Option(
    name: .customLong("html"),
    help: ArgumentHelp(
      "Also write a page to look at: one file with the pictures inside, for any browser.", valueName: "report.html"))
  var path: String?

  /// Whether there is a page to write.
  var isWanted: Bool { path != nil }

  /// Writes the page, if one is wanted.
  func write(title: String, subtitle: String = "", _ sections: @autoclosure () throws -> [HTMLReport.Section])
    async throws
  {
    guard let path else { return }
    try await Self.write(HTMLReport(title: title, subtitle: subtitle, sections: try sections()), to: path)
  }

  /// Writes a page, with its progress on a line.
  @discardableResult
  static func write(_ report: HTMLReport, to path: String) async throws -> HTMLReport.Summary {
    try await interruptible {
      let line = ProgressLine()
      defer { line.clear() }
      let summary = try report.write(to: URL(argument: path)) { done, total in
        line.show { _ in "\(path): \(done) of \(total.counted("picture"))" }
      }
      if summary.leftOut > 0 {
        warn("\(path): \(summary.leftOut.counted("picture")) left out, the page is \(summary.bytes >> 20) MB")
      }
      return summary
    }
  }
}
