public import ImageSimilarityCore
internal import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ReportHits {
  /// A query of a model and what ``SimilarityModel/query(_:k:radius:where:)-(_,_,_,RecordPredicate?)`` found.
  ///
  /// - Parameters:
  ///   - source: The query's picture; nil where there is none, for an embedding.
  ///   - name: What the query is called.
  public init(query source: ImageSource?, name: String, hits: [Hit]) {
    self.init(
      query: ReportPicture(source: source, name: name),
      hits: hits.map { hit in
        ReportHit(
          picture: ReportPicture(
            source: hit.record.pictureSource, name: hit.id, lines: hit.record.label.map { ["label \($0)"] } ?? []),
          rank: hit.rank, distance: hit.distance)
      })
  }
}

extension ImageRecord {
  /// The picture's file, where it is known.
  var pictureSource: ImageSource? { path.map { .file(URL(fileURLWithPath: $0)) } }
}
