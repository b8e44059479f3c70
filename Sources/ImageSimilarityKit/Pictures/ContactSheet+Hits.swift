public import ImageSimilarityCore
public import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ContactSheet {
  /// A row per query: the query, then its hits with their ranks and distances.
  public init(queries: [(source: ImageSource, name: String, hits: [Hit])]) {
    self.init(
      rows: queries.map { query in
        let first = Tile(source: query.source, title: "query", lines: [query.name], isQuery: true)
        return [first] + query.hits.map(Self.tile)
      })
  }

  private static func tile(_ hit: Hit) -> Tile {
    // A picture that was not indexed from a file cannot be shown; its tile stays grey.
    let source = hit.record.path.map { ImageSource.file(URL(fileURLWithPath: $0)) } ?? .data(Data())
    let distance = (hit.distance * 10_000).rounded() / 10_000
    return Tile(source: source, title: "\(hit.rank)", lines: ["distance \(distance)", hit.id])
  }
}
