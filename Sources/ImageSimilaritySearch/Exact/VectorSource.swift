package import ImageSimilarityCore

/// Rows that a scan looks at: vectors, which of them count, and what they are called.
package protocol VectorSource: Sendable {
  var vectors: CodedVectors { get }
  func isLive(_ row: Int) -> Bool
  /// Unique among the live rows of all sources of a scan.
  func id(_ row: Int) throws(SimilarityError) -> String
  /// Throws unless all of ``vectors`` but the elements is what was once stored; called before each search.
  func verifyCodes() throws(SimilarityError)
  /// Throws unless the elements of a row are what was once stored; called before they are read.
  func verifyElements(ofRow row: Int) throws(SimilarityError)
}
