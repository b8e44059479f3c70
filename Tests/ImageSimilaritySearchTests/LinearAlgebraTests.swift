import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

struct LinearAlgebraTests {
  /// Some matrix without structure.
  private func matrix(_ rows: Int, _ columns: Int, seed: UInt64 = 1) -> DenseMatrix {
    var state = seed
    let values = (0..<rows * columns).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(Int64(bitPattern: state) >> 32) / Double(1 << 31)
    }
    return DenseMatrix(rows: rows, columns: columns, values: values)
  }

  private func product(_ a: DenseMatrix, _ b: DenseMatrix) -> DenseMatrix {
    var result = DenseMatrix(rows: a.rows, columns: b.columns)
    for i in 0..<a.rows {
      for j in 0..<b.columns { result[i, j] = (0..<a.columns).reduce(0) { $0 + a[i, $1] * b[$1, j] } }
    }
    return result
  }

  private func distance(_ a: DenseMatrix, _ b: DenseMatrix) -> Double {
    #expect(a.rows == b.rows && a.columns == b.columns)
    return zip(a.values, b.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
  }

  @Test func `Products in all four forms`() {
    let (a, b) = (matrix(5, 3), matrix(3, 7, seed: 2))
    let expected = product(a, b)
    #expect(distance(LinearAlgebra.product(a, .plain, b), expected) < 1e-14)
    #expect(distance(LinearAlgebra.product(a.transposed, .transposed, b), expected) < 1e-14)
    #expect(distance(LinearAlgebra.product(a, .plain, b.transposed, .transposed), expected) < 1e-14)
    #expect(distance(LinearAlgebra.product(a.transposed, .transposed, b.transposed, .transposed), expected) < 1e-14)
  }

  @Test func `The Gram matrix has both triangles`() {
    let a = matrix(11, 6)
    #expect(distance(LinearAlgebra.gram(a), product(a.transposed, a)) < 1e-13)
  }

  @Test(arguments: [1, 2, 40]) func `Eigenvectors rebuild the matrix, largest first`(n: Int) throws {
    let a = LinearAlgebra.gram(matrix(n + 3, n))
    let (values, vectors) = try LinearAlgebra.symmetricEigen(a)
    #expect(values == values.sorted(by: >))
    var scaled = vectors
    for row in 0..<n {
      for column in 0..<n { scaled[row, column] *= values[row] }
    }
    #expect(distance(product(vectors.transposed, scaled), a) < 1e-12 * Double(n))
    var identity = DenseMatrix(rows: n, columns: n)
    for i in 0..<n { identity[i, i] = 1 }
    #expect(distance(product(vectors, vectors.transposed), identity) < 1e-12)
  }

  @Test func `A matrix that is not finite has no eigenvectors`() {
    let a = DenseMatrix(rows: 2, columns: 2, values: [1, .nan, .nan, 1])
    #expect(throws: SimilarityError.self) { try LinearAlgebra.symmetricEigen(a) }
  }

  @Test func `The Cholesky factor is lower triangular, and solves`() throws {
    let a = LinearAlgebra.gram(matrix(20, 9))
    let factor = try #require(LinearAlgebra.cholesky(a))
    #expect(distance(product(factor, factor.transposed), a) < 1e-12)
    #expect((0..<9).allSatisfy { row in (row + 1..<9).allSatisfy { factor[row, $0] == 0 } })
    let b = matrix(9, 4, seed: 3)
    // a^-1 b = L^-T (L^-1 b)
    let solution = LinearAlgebra.solve(lower: factor, .transposed, LinearAlgebra.solve(lower: factor, .plain, b))
    #expect(distance(product(a, solution), b) < 1e-10)
    #expect(LinearAlgebra.cholesky(DenseMatrix(rows: 2, columns: 2, values: [1, 2, 2, 1])) == nil)
  }

  @Test func `Embeddings keep their rows`() {
    let a = DenseMatrix(EmbeddingMatrix([[1, 2, 3], [4, 5, 6]]))
    #expect(a.values == [1, 2, 3, 4, 5, 6])
    #expect(Array(a[row: 1]) == [4, 5, 6])
  }
}
