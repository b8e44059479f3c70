internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityONNX

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
        imsim query photos.imsim --id cats/tabby.jpg --where label=cat
        imsim query photos.imsim holiday.jpg --where 'label=cat and metadata.year>=2020'
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("Picture files; they need not be in the model.", valueName: "image"))
  var images: [String] = []

  @Option(help: ArgumentHelp("A picture of the model to look for, after the files; may be repeated.", valueName: "id"))
  var id: [String] = []

  @OptionGroup var neighbors: NeighborOptions
  @OptionGroup var filter: FilterOptions

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

  func validate() throws {
    if images.isEmpty, id.isEmpty { throw ValidationError("Give picture files, or --id with a picture of the model") }
  }

  func run() async throws {
    let url = URL(argument: model)
    let extractor = try weights.map { try ExtractorOptions.parse(["--weights", $0]).makeExtractor(reopening: url) }
    let model = try await SimilarityModel.open(at: url, extractor: extractor, options: .commandLine)
    if model.count == 0 { warn("\(self.model) holds no pictures") }
    let queries =
      images.map { (name: $0, query: ImageQuery.file(URL(argument: $0))) } + id.map { (name: $0, query: .id($0)) }
    var results: [(source: ImageSource, name: String, hits: [Hit])] = []
    var failed = 0
    for (name, query) in queries {
      do {
        let hits = try await model.query(query, k: neighbors.k, radius: neighbors.radius, where: filter.predicate)
        try show(name, hits)
        if sheet != nil { results.append((try Self.source(query, in: model), name, hits)) }
      } catch let error as SimilarityError where error.code.isAboutImage {
        warn("\(name): \(error.message)")
        failed += 1
      }
    }
    if let sheet, !results.isEmpty { try ContactSheet(queries: results).write(to: URL(argument: sheet)) }
    if failed > 0 { throw ExitCode(1) }
  }

  /// The picture to draw for a query; nothing where it is not in a file.
  private static func source(_ query: ImageQuery, in model: SimilarityModel) throws -> ImageSource {
    switch query {
    case .image(let source): source
    case .id(let id): try model.record(id)?.path.map { .file(URL(argument: $0)) } ?? .data(Data())
    case .vector: .data(Data())
    }
  }

  private func show(_ image: String, _ hits: [Hit]) throws {
    if json {
      for hit in hits {
        try sayJSON(Line(query: image, rank: hit.rank, reference: hit.id, distance: hit.distance))
      }
      return
    }
    say(image)
    if hits.isEmpty { say(filter.predicate == nil ? "  nothing within the radius" : "  nothing that matches") }
    for hit in hits {
      let rank = String(hit.rank)
      let padding = String(repeating: " ", count: max(0, 4 - rank.count))
      say("\(padding)\(rank)  \(hit.distance.formatted(digits: 4))  \(hit.id)")
    }
  }
}
