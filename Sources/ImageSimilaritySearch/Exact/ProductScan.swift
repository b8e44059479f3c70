import COpenBLAS
import CSimilarityKernels
import ImageSimilarityCore

/// Scans by matrix products of all elements in fp32 (BLAS): for processors that this package has no kernels of codes for, whose
/// products of bytes would be slower.
///
/// For vectors a, b of length d, a product summed in fp32 in any order, with or without fused operations, satisfies
/// `|fl(a.b) - a.b| <= gamma_d |a| |b|`, with `gamma_n = n u / (1 - n u)` and `u = 2^-24` (Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd edition, section 3.1), as long as nothing overflows or underflows: rows and queries that codes
/// say nothing about have the key -inf here, too. Keys are those of ``KeyBound``, less `gamma_(d + 64) |a| |b|`, which leaves room
/// for the rounding of what is computed here in fp64, and of the key.
struct ProductScan {
  /// From so many queries on, a product reads the rows less often than the kernels would.
  private static let leastQueries = 8

  private let queries: EmbeddingMatrix
  private let rows: Range<Int>
  private let squaredNorms: [Double]
  private let metric: Metric
  private let gamma: Double
  private var products: [Float]

  /// nil where scanning codes is faster.
  ///
  /// - Parameter rows: the rows of `queries` to look for.
  init?(_ queries: EmbeddingMatrix, rows: Range<Int>, coded: CodedVectors, metric: Metric, sliceRows: Int) {
    let nu = Double(queries.dimension + 64) * 0x1p-24
    guard imsim_level_current() == IMSIM_LEVEL_PORTABLE, rows.count >= Self.leastQueries, nu < 0.5 else { return nil }
    self.queries = queries
    self.rows = rows
    squaredNorms = rows.map { coded.errors[$0].isFinite ? coded.squaredNorms[$0] : .nan }
    self.metric = metric
    gamma = nu / (1 - nu)
    products = [Float](repeating: 0, count: rows.count * sliceRows)
    BLASSettings.applyDefaultIfNeeded()
  }

  /// Calls `body` with each query, by its place in ``rows``, each row of a slice whose key is at most the query's limit, and the
  /// key.
  mutating func scan<E: Error>(
    _ vectors: CodedVectors, rows slice: Range<Int>, limit: (_ query: Int) -> Float,
    _ body: (_ query: Int, _ row: Int, _ key: Float) throws(E) -> Void
  ) throws(E) {
    multiply(vectors, slice)
    for query in 0..<rows.count {
      for i in 0..<slice.count {
        let row = slice.lowerBound + i
        let key = key(
          product: products[query * slice.count + i], squaredNorms[query],
          vectors.errors[row].isFinite ? vectors.squaredNorms[row] : .nan)
        if !(key > limit(query)) { try body(query, row, key) }
      }
    }
  }

  /// NaN where nothing is known.
  private func key(product: Float, _ a: Double, _ b: Double) -> Float {
    let lengths = (a * b).squareRoot()
    let least = Double(product) + gamma * lengths
    switch metric {
    case .cosine: return Float(-least / lengths).nextDown
    case .euclidean: return Float((a + b) * (1 - 0x1p-22) - 2 * least).nextDown
    case .innerProduct: return Float(-least).nextDown
    }
  }

  /// `products[i, j] = queries[rows][i] . vectors[slice][j]`, row-major.
  private mutating func multiply(_ vectors: CodedVectors, _ slice: Range<Int>) {
    precondition(
      vectors.dimension == queries.dimension && products.count >= rows.count * slice.count,
      "the operands of a matrix product do not fit together")
    let d = queries.dimension
    let (first, count) = (rows.lowerBound, rows.count)
    queries.withElements { queryElements in
      unsafe queryElements.withUnsafeBufferPointer { queryElements in
        unsafe vectors.elements.withFloats(ofRows: slice, dimension: d) { elements in
          unsafe products.withUnsafeMutableBufferPointer { products in
            guard let a = queryElements.baseAddress, let b = elements.baseAddress else { return }
            unsafe cblas_sgemm(
              CblasRowMajor, CblasNoTrans, CblasTrans, Int32(count), Int32(slice.count), Int32(d), 1,
              a + first * d, Int32(d), b, Int32(d), 0, products.baseAddress, Int32(slice.count))
          }
        }
      }
    }
  }
}
