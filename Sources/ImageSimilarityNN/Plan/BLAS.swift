internal import COpenBLAS

/// The products that the network needs, all row-major.
enum BLAS {
  /// `c = a * b`, `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]`; the strides are between rows.
  @unsafe static func multiply(
    m: Int, n: Int, k: Int, a: UnsafePointer<Float>, aStride: Int, b: UnsafePointer<Float>, bStride: Int,
    c: UnsafeMutablePointer<Float>, cStride: Int
  ) {
    unsafe cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasNoTrans, blasint(m), blasint(n), blasint(k), 1, a, blasint(aStride), b,
      blasint(bStride), 0, c, blasint(cStride))
  }

  /// `y = a * x`, `a` is `[m, n]`.
  @unsafe static func multiply(
    m: Int, n: Int, a: UnsafePointer<Float>, x: UnsafePointer<Float>, y: UnsafeMutablePointer<Float>
  ) {
    unsafe cblas_sgemv(CblasRowMajor, CblasNoTrans, blasint(m), blasint(n), 1, a, blasint(n), x, 1, 0, y, 1)
  }
}
