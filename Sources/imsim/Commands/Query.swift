internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Query: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Finds the pictures of a model that look like given ones.",
    discussion: """
      The same picture is at distance 0; with the usual metric, cosine, distances go up to 2.

      Examples:
        imsim query photos.imsim holiday.jpg
        imsim query photos.imsim holiday.jpg -k 10 --sheet hits.jpg
        imsim query photos.imsim *.jpg --radius 0.1 --json
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("Picture files; they need not be in the model.", valueName: "image"))
  var images: [String]

  @OptionGroup var neighbors: NeighborOptions

  @Option(help: ArgumentHelp("The weights that made the model, where that file has moved.", valueName: "file"))
  var weights: String?

  @Flag(help: "Print a JSON object per hit: query, rank, reference, distance.")
  var json = false

  @Option(help: ArgumentHelp("Also draw the queries and their hits as one JPEG.", valueName: "out.jpg"))
  var sheet: String?

  private struct Line: Encodable {
    var query: String
    var rank: Int
    var reference: String
    var distance: Float
  }

  func run() async throws {
    let url = URL(argument: model)
    var extractor = ExtractorOptions()
    extractor.weights = weights
    let model = try await SimilarityModel.open(
      at: url, extractor: weights == nil ? nil : try extractor.makeExtractor(reopening: url))
    if model.count == 0 { warn("\(self.model) holds no pictures") }
    var results: [(image: String, hits: [Hit])] = []
    var failed = 0
    for image in images {
      do {
        let hits = try await model.query(.file(URL(argument: image)), k: neighbors.k, radius: neighbors.radius)
        try show(image, hits)
        if sheet != nil { results.append((image, hits)) }
      } catch let error as SimilarityError where error.code.isAboutImage {
        warn("\(image): \(error.message)")
        failed += 1
      }
    }
    if let sheet, !results.isEmpty { try draw(results, to: URL(argument: sheet)) }
    if failed > 0 { throw ExitCode(1) }
  }

  private func show(_ image: String, _ hits: [Hit]) throws {
    if json {
      for hit in hits {
        try sayJSON(Line(query: image, rank: hit.rank, reference: hit.id, distance: hit.distance))
      }
      return
    }
    say(image)
    if hits.isEmpty { say("  nothing within the radius") }
    for hit in hits {
      let rank = String(hit.rank)
      let padding = String(repeating: " ", count: max(0, 4 - rank.count))
      say("\(padding)\(rank)  \(hit.distance.formatted(digits: 4))  \(hit.id)")
    }
  }

  private func draw(_ results: [(image: String, hits: [Hit])], to url: URL) throws {
    try ContactSheet(
      queries: results.map { (source: .file(URL(argument: $0.image)), name: $0.image, hits: $0.hits) }
    ).write(to: url)
  }
}
