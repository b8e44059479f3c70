import Foundation
import ImageSimilarityKit

/// Prints the three nearest neighbours of every picture of a model as a Graphviz graph.
///
///     NeighborGraph photos.imsim | dot -Tsvg > neighbors.svg
@main
struct NeighborGraph {
  static func main() async throws {
    guard CommandLine.arguments.count == 2 else {
      print("usage: NeighborGraph MODEL")
      exit(2)
    }
    let model = try await SimilarityModel.open(at: URL(fileURLWithPath: CommandLine.arguments[1]))

    print("digraph neighbors {")
    for edge in try await model.similarityGraph(k: 3) {
      print("  \(quoted(edge.source)) -> \(quoted(edge.target)) [label=\"\(edge.distance)\"]")
    }
    print("}")
  }

  /// A string of the DOT language.
  static func quoted(_ text: String) -> String {
    "\"\(text.replacingOccurrences(of: "\"", with: "\\\""))\""
  }
}
