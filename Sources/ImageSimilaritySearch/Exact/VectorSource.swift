package import ImageSimilarityCore

/// Rows that a scan looks at: vectors, which of them count, and what they are called.
package protocol VectorSource: Sendable {
  var vectors: CodedVectors { get }
  func isLive(_ row: Int) -> Bool
  /// Unique among the live rows of all sources of a scan.
  func id(_ row: Int) throws(SimilarityError) -> String
}
