internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Explain: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what makes a picture of a model like a given one.",
    discussion: """
      Draws both pictures and what each part of them adds to the cosine of their embeddings. The parts add up to it. The
      cosine is that of the network, whatever the model's metric is.

      Example:
        imsim explain photos.imsim holiday.jpg beach/0042.jpg -o why.jpg
        imsim explain photos.imsim holiday.jpg beach/0042.jpg --json
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("A picture file; it need not be in the model.", valueName: "image"))
  var query: String

  @Argument(help: ArgumentHelp("A picture of the model, a hit of 'imsim query', say.", valueName: "id"))
  var hit: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Draw both pictures with their heat maps.", valueName: "out.jpg"))
  var output: String?

  @Flag(help: "Print one JSON object: similarity, and for both pictures the heat map and the regions that add most.")
  var json = false

  private struct Result: Encodable {
    var query: String
    var reference: String
    var similarity: Float
    var queryMap: Map
    var referenceMap: Map
  }

  private struct Map: Encodable {
    var rows: Int
    var columns: Int
    var contributions: [Float]
    var size: PixelSize
    var regions: [HeatMap.Region]

    init(_ map: HeatMap) {
      (rows, columns, contributions, size) = (map.rows, map.columns, map.contributions, map.size)
      regions = map.regions()
    }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model), options: .commandLine)
    let source = ImageSource.file(URL(argument: query))
    let explanation = try await model.explain(source, hit: hit)
    if let output {
      try ContactSheet(explanation, query: source, name: query).write(to: URL(argument: output))
    }
    if json {
      try sayJSON(
        Result(
          query: query, reference: hit, similarity: explanation.similarity, queryMap: Map(explanation.query),
          referenceMap: Map(explanation.hit)))
      return
    }
    say("cosine \(explanation.similarity.formatted(digits: 4))")
    show(query, explanation.query, of: explanation.similarity)
    show(hit, explanation.hit, of: explanation.similarity)
  }

  private func show(_ name: String, _ map: HeatMap, of similarity: Float) {
    say(name)
    for part in map.regions() {
      let (region, share) = (part.region, similarity == 0 ? 0 : part.contribution / similarity * 100)
      say(
        "  \(share.formatted(digits: 1)) %  \(region.width)x\(region.height) at (\(region.x), \(region.y)) of \(map.size)"
      )
    }
  }
}
