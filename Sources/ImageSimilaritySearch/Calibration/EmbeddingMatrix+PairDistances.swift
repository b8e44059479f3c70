package import ImageSimilarityCore

extension EmbeddingMatrix {
  /// The distance of each row of this matrix from the same row of `others`: fp64, rounded to fp32.
  ///
  /// - Precondition: both matrices have one shape.
  /// - Complexity: O(`rows * dimension`)
  package func distances(toRowsOf others: EmbeddingMatrix, metric: Metric) -> [Float] {
    precondition(rows == others.rows && dimension == others.dimension, "pairs of rows come from matrices of one shape")
    let (norms, otherNorms) = (squaredNorms(), others.squaredNorms())
    var work: [Double] = []
    var found: [Float] = []
    return (0..<rows).map { row in
      distances(
        ofRows: [UInt32(row)], squaredNorms: norms, to: row, of: others, squaredNorm: otherNorms[row], metric: metric,
        work: &work, into: &found)
      return found[0]
    }
  }
}
