internal import COpenBLAS
package import ImageSimilarityCore

/// A dense matrix of fp64, row-major.
package struct DenseMatrix: Sendable, Hashable {
  package let rows: Int
  package let columns: Int
  /// `rows * columns` elements, row after row.
  package var values: [Double]

  /// - Precondition: `values.count == rows * columns`.
  package init(rows: Int, columns: Int, values: [Double]) {
    precondition(
      rows >= 0 && columns >= 0 && values.count == rows * columns,
      "a matrix of \(rows) x \(columns) does not have \(values.count) elements")
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// All zeros.
  package init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, values: [Double](repeating: 0, count: rows * columns))
  }

  /// The embeddings in fp64, `[rows, dimension]`.
  package init(_ embeddings: EmbeddingMatrix) {
    var values: [Double] = []
    values.reserveCapacity(embeddings.rows * embeddings.dimension)
    embeddings.withElements { elements in
      for i in elements.indices { values.append(Double(elements[i])) }
    }
    self.init(rows: embeddings.rows, columns: embeddings.dimension, values: values)
  }

  package subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  package subscript(row row: Int) -> ArraySlice<Double> { values[row * columns..<(row + 1) * columns] }

  package var transposed: DenseMatrix {
    var result = DenseMatrix(rows: columns, columns: rows)
    for row in 0..<rows {
      for column in 0..<columns { result[column, row] = self[row, column] }
    }
    return result
  }
}

/// The room's one door to BLAS's and LAPACK's matrix routines in fp64: each function checks the extents that they rely on.
///
/// Each call runs on the calling thread, unless the application has asked for more with ``BLASSettings/apply(threads:)``:
/// parallel callers divide their matrices themselves. Results may differ in the last bits between processors and numbers of
/// OpenBLAS threads, never between two calls in one process.
package enum LinearAlgebra {
  /// Whether a factor of a product is taken as it is or transposed.
  package enum Form: Sendable {
    case plain
    case transposed

    fileprivate var code: CBLAS_TRANSPOSE { self == .plain ? CblasNoTrans : CblasTrans }
  }

  /// `op(a) op(b)` (dgemm).
  ///
  /// - Precondition: the inner extents are equal.
  /// - Complexity: O(rows * columns * inner extent)
  package static func product(
    _ a: DenseMatrix, _ formA: Form, _ b: DenseMatrix, _ formB: Form = .plain
  ) -> DenseMatrix {
    let (rows, inner) = formA == .plain ? (a.rows, a.columns) : (a.columns, a.rows)
    let (innerB, columns) = formB == .plain ? (b.rows, b.columns) : (b.columns, b.rows)
    precondition(inner == innerB, "a product of matrices with inner extents \(inner) and \(innerB)")
    var result = DenseMatrix(rows: rows, columns: columns)
    if rows == 0 || columns == 0 || inner == 0 { return result }
    BLASSettings.applyDefaultIfNeeded()
    unsafe a.values.withUnsafeBufferPointer { aValues in
      unsafe b.values.withUnsafeBufferPointer { bValues in
        unsafe result.values.withUnsafeMutableBufferPointer { values in
          unsafe cblas_dgemm(
            CblasRowMajor, formA.code, formB.code, blasint(rows), blasint(columns), blasint(inner), 1,
            aValues.baseAddress, blasint(a.columns), bValues.baseAddress, blasint(b.columns), 0, values.baseAddress,
            blasint(columns))
        }
      }
    }
    return result
  }

  /// `a^T a`, `[columns, columns]`, both triangles (dsyrk).
  ///
  /// - Complexity: O(`rows * columns^2`)
  package static func gram(_ a: DenseMatrix) -> DenseMatrix {
    let n = a.columns
    var result = DenseMatrix(rows: n, columns: n)
    if n == 0 || a.rows == 0 { return result }
    BLASSettings.applyDefaultIfNeeded()
    unsafe a.values.withUnsafeBufferPointer { aValues in
      unsafe result.values.withUnsafeMutableBufferPointer { values in
        unsafe cblas_dsyrk(
          CblasRowMajor, CblasUpper, CblasTrans, blasint(n), blasint(a.rows), 1, aValues.baseAddress, blasint(n), 0,
          values.baseAddress, blasint(n))
        for row in 0..<n {
          for column in 0..<row { unsafe values[row * n + column] = values[column * n + row] }
        }
      }
    }
    return result
  }

  /// The eigenvalues of a symmetric matrix, descending, and its eigenvectors of length 1, one a row in the same order
  /// (dsyevd). The sign of a vector, and the basis of a space of equal eigenvalues, are arbitrary.
  ///
  /// Only one triangle is read. Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the iteration does
  /// not converge, which happens for matrices with elements that are not finite.
  ///
  /// - Precondition: the matrix is square.
  /// - Complexity: O(n^3)
  package static func symmetricEigen(
    _ a: DenseMatrix
  ) throws(SimilarityError) -> (values: [Double], vectors: DenseMatrix) {
    precondition(a.rows == a.columns, "a matrix of \(a.rows) x \(a.columns) is not symmetric")
    let n = a.rows
    if n == 0 { return ([], a) }
    BLASSettings.applyDefaultIfNeeded()
    var vectors = a.values
    var ascending = [Double](repeating: 0, count: n)
    // The least that dsyevd asks for with eigenvectors; more gives it larger blocks in the reduction only.
    var work = [Double](repeating: 0, count: 1 + 6 * n + 2 * n * n + 64 * n)
    var integerWork = [blasint](repeating: 0, count: 3 + 5 * n)
    var order = blasint(n)
    var workCount = blasint(work.count)
    var integerCount = blasint(integerWork.count)
    var failure: blasint = 0
    var (job, triangle) = (CChar(UInt8(ascii: "V")), CChar(UInt8(ascii: "L")))
    unsafe dsyevd_(
      &job, &triangle, &order, &vectors, &order, &ascending, &work, &workCount, &integerWork, &integerCount, &failure,
      1,
      1)
    precondition(failure >= 0, "argument \(-failure) of dsyevd is wrong")
    guard failure == 0, ascending.allSatisfy(\.isFinite) else {
      throw SimilarityError(.invalidArgument, "the eigenvectors of a matrix of \(n) x \(n) cannot be computed")
    }
    // A column of LAPACK's is a row here; the largest eigenvalue comes last.
    var result = DenseMatrix(rows: n, columns: n)
    for row in 0..<n {
      let source = (n - 1 - row) * n
      for column in 0..<n { result.values[row * n + column] = vectors[source + column] }
    }
    return (ascending.reversed(), result)
  }

  /// The lower triangular L with `a = L L^T`, or nil where the matrix is not positive definite (dpotrf).
  ///
  /// Only the lower triangle is read.
  ///
  /// - Precondition: the matrix is square.
  /// - Complexity: O(n^3)
  package static func cholesky(_ a: DenseMatrix) -> DenseMatrix? {
    precondition(a.rows == a.columns, "a matrix of \(a.rows) x \(a.columns) is not symmetric")
    let n = a.rows
    if n == 0 { return a }
    BLASSettings.applyDefaultIfNeeded()
    var factor = a
    var order = blasint(n)
    var failure: blasint = 0
    // The upper triangle in column-major order is the lower one in row-major order.
    var triangle = CChar(UInt8(ascii: "U"))
    unsafe dpotrf_(&triangle, &order, &factor.values, &order, &failure, 1)
    precondition(failure >= 0, "argument \(-failure) of dpotrf is wrong")
    guard failure == 0 else { return nil }
    for row in 0..<n {
      for column in row + 1..<n { factor[row, column] = 0 }
    }
    return factor
  }

  /// L^-1 b, or L^-T b, for a lower triangular L (dtrsm).
  ///
  /// - Precondition: `lower` is square, without zeros on the diagonal, and has as many rows as `b`.
  /// - Complexity: O(n^2 * columns)
  package static func solve(lower: DenseMatrix, _ form: Form, _ b: DenseMatrix) -> DenseMatrix {
    precondition(
      lower.rows == lower.columns && lower.rows == b.rows,
      "a factor of \(lower.rows) x \(lower.columns) does not fit \(b.rows) x \(b.columns)")
    var result = b
    if b.rows == 0 || b.columns == 0 { return result }
    BLASSettings.applyDefaultIfNeeded()
    unsafe lower.values.withUnsafeBufferPointer { factor in
      unsafe result.values.withUnsafeMutableBufferPointer { values in
        unsafe cblas_dtrsm(
          CblasRowMajor, CblasLeft, CblasLower, form.code, CblasNonUnit, blasint(b.rows), blasint(b.columns), 1,
          factor.baseAddress, blasint(lower.columns), values.baseAddress, blasint(b.columns))
      }
    }
    return result
  }
}
