package import ImageSimilarityCore

/// The plane through a cloud of vectors in which it is widest: their two principal components.
package struct PrincipalPlane: Sendable {
  private let mean: [Float]
  /// The axes, element by element.
  private let axes: [SIMD2<Float>]
  private let normalizes: Bool

  private static let iterations = 12

  /// The plane of the rows of `sample`, by subspace iteration (Golub and Van Loan, Matrix Computations, section 8.2.4).
  ///
  /// - Parameter normalizes: whether vectors are divided by their lengths, as where their cosines count.
  /// - Complexity: O(`rows * dimension`)
  package init(of sample: EmbeddingMatrix, normalizes: Bool) {
    let (rows, dimension) = (sample.rows, sample.dimension)
    let vectors = (0..<rows).map { Self.prepared(sample[$0], normalizes) }
    var mean = [Float](repeating: 0, count: dimension)
    for vector in vectors {
      for i in 0..<dimension { mean[i] += vector[i] / Float(rows) }
    }
    // Two vectors more than are wanted: the two that are converge faster.
    var basis = (0..<dimension).map { i in
      // Any four directions that are no multiples of each other.
      SIMD4<Float>(1, i % 2 == 0 ? 1 : -1, i % 3 == 0 ? 1 : -1, i % 5 < 2 ? 1 : -1)
    }
    Self.orthonormalize(&basis)
    for _ in 0..<Self.iterations {
      var next = [SIMD4<Float>](repeating: .zero, count: dimension)
      for vector in vectors {
        let coordinates = Self.coordinates(vector, mean, basis)
        for i in 0..<dimension { next[i] += (vector[i] - mean[i]) * coordinates }
      }
      basis = next
      Self.orthonormalize(&basis)
    }
    self.mean = mean
    self.normalizes = normalizes
    axes = basis.map { SIMD2($0.x, $0.y) }
  }

  /// The coordinates of a vector in the plane.
  package func place(_ vector: [Float]) -> SIMD2<Float> {
    let vector = Self.prepared(vector, normalizes)
    var sum = SIMD2<Float>.zero
    for i in vector.indices { sum += (vector[i] - mean[i]) * axes[i] }
    return sum
  }

  private static func prepared(_ vector: [Float], _ normalizes: Bool) -> [Float] {
    guard normalizes else { return vector }
    let length = vector.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    return length > 0 ? vector.map { Float(Double($0) / length) } : vector
  }

  private static func coordinates(_ vector: [Float], _ mean: [Float], _ basis: [SIMD4<Float>]) -> SIMD4<Float> {
    var sum = SIMD4<Float>.zero
    for i in vector.indices { sum += (vector[i] - mean[i]) * basis[i] }
    return sum
  }

  /// Gram and Schmidt's method, from the first to the last; a direction that the others hold becomes 0.
  private static func orthonormalize(_ basis: inout [SIMD4<Float>]) {
    for column in 0..<4 {
      for other in 0..<column {
        let product = basis.reduce(0.0) { $0 + Double($1[column]) * Double($1[other]) }
        for i in basis.indices { basis[i][column] -= Float(product) * basis[i][other] }
      }
      let length = basis.reduce(0.0) { $0 + Double($1[column]) * Double($1[column]) }.squareRoot()
      // What is left of a direction in the others' span is the rounding of single precision.
      let scale = length > 1e-12 ? Float(1 / length) : 0
      for i in basis.indices { basis[i][column] *= scale }
    }
  }
}
