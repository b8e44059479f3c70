internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Graph: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the neighbours of every picture of a model.",
    discussion: """
      A line per edge, by source, then by rank; without --json the columns are source, target, rank and distance, separated \
      by tabs.

      Examples:
        imsim graph photos.imsim -k 10 --json > edges.jsonl
        imsim graph photos.imsim --radius 0.05
        imsim graph photos.imsim --where label=cat
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @OptionGroup var neighbors: NeighborOptions
  @OptionGroup var filter: FilterOptions

  @Flag(help: "A picture is a neighbour of itself, too.")
  var includeSelf = false

  @Flag(help: "Print a JSON object per edge: source, target, rank, distance.")
  var json = false

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model))
    try await interruptible { [self] in
      try await model.similarityGraph(
        k: neighbors.k, radius: neighbors.radius, includeSelf: includeSelf, where: filter.predicate
      ) { edges in
        let lines = try edges.map { edge in
          json ? try jsonLine(edge) : "\(edge.source)\t\(edge.target)\t\(edge.rank)\t\(edge.distance)"
        }
        if !lines.isEmpty { say(lines.joined(separator: "\n")) }
      }
    }
  }
}
