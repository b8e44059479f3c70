package import ImageSimilarityCore

/// A segment's rows as the extractor made them, whatever projection is searched.
package struct RawSegment: VectorSource {
  private let segment: SegmentStore.Segment

  package init(_ segment: SegmentStore.Segment) { self.segment = segment }

  package var vectors: CodedVectors { segment.stored.vectors }
  package func isLive(_ row: Int) -> Bool { segment.isLive(row) }
  package func id(_ row: Int) throws(SimilarityError) -> String { try segment.id(row) }
  package func verifyCodes() throws(SimilarityError) { try segment.stored.verifyCodes() }
  package func verifyElements(ofRow row: Int) throws(SimilarityError) {
    try segment.stored.verifyElements(ofRows: row..<row + 1)
  }
}
