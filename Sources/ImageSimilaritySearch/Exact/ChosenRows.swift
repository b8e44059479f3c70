package import ImageSimilarityCore

/// Some rows of a source: the others do not count.
package struct ChosenRows: VectorSource {
  private let source: any VectorSource
  /// One a row.
  private let isChosen: [Bool]

  /// The live rows for which `condition` holds.
  package init(
    of source: any VectorSource, where condition: (_ row: Int) throws(SimilarityError) -> Bool
  ) throws(SimilarityError) {
    self.source = source
    var isChosen = [Bool](repeating: false, count: source.vectors.rows)
    for row in isChosen.indices where source.isLive(row) { isChosen[row] = try condition(row) }
    self.isChosen = isChosen
  }

  package var vectors: CodedVectors { source.vectors }
  package func isLive(_ row: Int) -> Bool { isChosen[row] }
  package func id(_ row: Int) throws(SimilarityError) -> String { try source.id(row) }
  package func verifyCodes() throws(SimilarityError) { try source.verifyCodes() }
  package func verifyElements(ofRow row: Int) throws(SimilarityError) { try source.verifyElements(ofRow: row) }
}
