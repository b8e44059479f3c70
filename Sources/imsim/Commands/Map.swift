public import ArgumentParser
public import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ReportMap.Coloring: ExpressibleByArgument {}

struct Map: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draws a map of a model's pictures, on which near ones look alike.",
    discussion: """
      The map is a page for any browser, in one file with small pictures inside. It needs no network and no server. Who is \
      near whom means something; distances at large mean little.

      Examples:
        imsim map photos.imsim --html map.html
        imsim map photos.imsim --html map.html --color cluster
        imsim map photos.imsim --json > places.jsonl
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Option(help: ArgumentHelp("The page to write.", valueName: "map.html"))
  var html: String?

  @Option(
    help: """
      What the colours are: each picture's label, or else its folder; or clusters of pictures that have neighbours in common. \
      Default: label where half of the pictures have one.
      """)
  var color: ReportMap.Coloring?

  @Option(help: "Nearest neighbours of a picture that draw it.")
  var neighbors = 15

  @Option(help: "Where the random numbers begin; another seed gives another map.")
  var seed: UInt64 = 0

  @Option(help: "Pictures that the page holds at most; the others are dots.")
  var pictures = 1024

  @Flag(help: "Print a JSON object per picture: id, label, x, y, cluster.")
  var json = false

  func validate() throws {
    if html == nil, !json { throw ValidationError("Give --html with a file to write, or --json") }
    if neighbors < 1 { throw ValidationError("--neighbors is at least 1; found \(neighbors)") }
    if !(0...4096).contains(pictures) { throw ValidationError("--pictures is from 0 to 4096; found \(pictures)") }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model), options: .commandLine)
    let layout = try await interruptible { [self] in
      let line = ProgressLine()
      defer { line.clear() }
      return try await model.layout(neighbors: neighbors, seed: seed) { part in
        line.show { _ in "\(Int(part * 100)) %" }
      }
    }
    if json {
      for point in layout.points { try sayJSON(point) }
    }
    guard let html else { return }
    var report = HTMLReport(
      title: URL(argument: self.model).lastPathComponent, subtitle: layout.points.count.counted("picture"),
      sections: [.map(try model.reportMap(layout, coloring: color))])
    report.maximumMapPictures = pictures
    let summary = try await ReportOptions.write(report, to: html)
    if !json {
      let size = "\((Double(summary.bytes) / 1e6).formatted(digits: 1)) MB"
      say("\(html): \(summary.points.counted("picture")), \(layout.clusters.counted("cluster")), \(size)")
    }
  }
}
