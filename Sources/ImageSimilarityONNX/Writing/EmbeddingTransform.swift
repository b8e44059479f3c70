public import ImageSimilarityCore

/// What becomes of an embedding after the network.
public enum EmbeddingTransform: Sendable {
  /// Division by the Euclidean length. A vector of zeros stays as it is.
  case normalization
  /// An affine map to another space, learnt for example.
  case projection(LinearProjection)
}

/// An affine map of vectors: `y = matrix * x + bias`.
public struct LinearProjection: Sendable {
  /// `[result's dimension, input's dimension]`
  public let matrix: EmbeddingMatrix
  /// An element for each of the result's dimensions.
  public let bias: [Float]

  /// `y = matrix * x + bias`, or without the bias where nil.
  ///
  /// - Throws: ``SimilarityError/Code/dimensionMismatch`` where `bias` has another length than the matrix has rows, or the
  ///   matrix has no rows; ``SimilarityError/Code/notFinite`` where an element is NaN or infinite.
  public init(matrix: EmbeddingMatrix, bias: [Float]? = nil) throws(SimilarityError) {
    let bias = bias ?? [Float](repeating: 0, count: matrix.rows)
    guard matrix.rows > 0, bias.count == matrix.rows else {
      throw SimilarityError(
        .dimensionMismatch, "a projection to \(matrix.rows) dimensions cannot have a bias of \(bias.count) elements")
    }
    let isFinite = matrix.withElements { elements in elements.indices.allSatisfy { elements[$0].isFinite } }
    guard isFinite, bias.allSatisfy(\.isFinite) else {
      throw SimilarityError(.notFinite, "a projection of finite numbers was expected; some are NaN or infinite")
    }
    self.matrix = matrix
    self.bias = bias
  }

  /// `y = matrix * (x - mean)`
  ///
  /// - Throws: ``SimilarityError/Code/dimensionMismatch`` where `mean` has another length than the matrix has columns;
  ///   ``SimilarityError/Code/notFinite`` where an element is NaN or infinite.
  public init(matrix: EmbeddingMatrix, mean: [Float]) throws(SimilarityError) {
    guard mean.count == matrix.dimension else {
      throw SimilarityError(
        .dimensionMismatch, "a mean of \(matrix.dimension) elements was expected; found \(mean.count)")
    }
    let bias = matrix.withElements { elements in
      (0..<matrix.rows).map { row in
        Float(-mean.indices.reduce(0.0) { $0 + Double(elements[row * mean.count + $1]) * Double(mean[$1]) })
      }
    }
    try self.init(matrix: matrix, bias: bias)
  }
}
