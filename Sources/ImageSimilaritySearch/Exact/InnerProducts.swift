internal import COpenBLAS

/// All inner products between the rows of two small matrices, by BLAS.
package enum InnerProducts {
  /// `[a.count / dimension, b.count / dimension]`, row-major: entry (i, j) is the inner product of row i of `a` and row j of
  /// `b`, summed in fp32.
  ///
  /// - Precondition: both are made of whole rows, and there is at least one in each.
  package static func between(_ a: [Float], _ b: [Float], dimension: Int) -> [Float] {
    precondition(
      dimension > 0 && a.count >= dimension && b.count >= dimension && a.count % dimension == 0
        && b.count % dimension == 0, "matrices are made of whole rows")
    BLASSettings.applyDefaultIfNeeded()
    let (rows, columns) = (a.count / dimension, b.count / dimension)
    var products = [Float](repeating: 0, count: rows * columns)
    unsafe cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(columns), Int32(dimension), 1, a, Int32(dimension), b,
      Int32(dimension), 0, &products, Int32(columns))
    return products
  }
}
