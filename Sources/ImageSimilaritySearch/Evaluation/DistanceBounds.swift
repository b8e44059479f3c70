import COpenBLAS
import ImageSimilarityCore

/// Between which numbers the distances of a few queries from a few rows are, for certain: by matrix products in fp32 (BLAS),
/// which are much faster than distances in fp64.
///
/// Products are summed over ``depth`` elements at a time. A sum of n such products in fp32, in any order, with or without fused
/// operations, satisfies `|fl(a.b) - a.b| <= gamma |a| |b|`, with `gamma = m u / (1 - m u)`, `m = depth + n` and `u = 2^-24` (Higham,
/// Accuracy and Stability of Numerical Algorithms, 2nd edition, sections 3.1 and 4.2), as long as nothing overflows or underflows:
/// where a length is not within 2^-30...2^30, nothing is known, and the bounds are NaN.
struct DistanceBounds {
  /// Queries and rows whose products stay in the cache.
  static let queries = 96
  static let rows = 384
  private static let depth = 128

  private let matrix: EmbeddingMatrix
  private let metric: Metric
  /// The length of each row, or NaN.
  private let lengths: [Double]
  private let gamma: Double
  private var products = [Float](repeating: 0, count: Self.queries * Self.rows)
  private var queryElements: [Float] = []
  private var queryLengths: [Double] = []
  /// Bounds of the distances of the rows that were asked for last.
  private(set) var lower = [Float](repeating: 0, count: Self.rows)
  private(set) var upper = [Float](repeating: 0, count: Self.rows)

  init(_ matrix: EmbeddingMatrix, squaredNorms: [Double], metric: Metric) {
    self.matrix = matrix
    self.metric = metric
    lengths = squaredNorms.map(Self.length)
    // What is rounded here in fp64, and the distances, in fp32, is less than the terms added in bounds(of:rows:).
    let parts = (matrix.dimension + Self.depth - 1) / Self.depth
    let terms = Double(min(matrix.dimension, Self.depth) + parts + 8) * 0x1p-24
    gamma = terms < 0.5 ? terms / (1 - terms) : .nan
    BLASSettings.applyDefaultIfNeeded()
  }

  private static func length(_ squaredNorm: Double) -> Double {
    (0x1p-60...0x1p60).contains(squaredNorm) ? squaredNorm.squareRoot() : .nan
  }

  /// Says what to compare with: some rows of a matrix, at most ``queries``.
  mutating func setQueries(_ rows: ArraySlice<Int>, of matrix: EmbeddingMatrix, squaredNorms: [Double]) {
    precondition(
      rows.count <= Self.queries && matrix.dimension == self.matrix.dimension, "the queries do not fit the bounds")
    queryElements.removeAll(keepingCapacity: true)
    for row in rows { queryElements += matrix[row] }
    queryLengths = rows.map { Self.length(squaredNorms[$0]) }
  }

  /// Computes the products of all queries with the rows `slice`, at most ``rows``.
  mutating func multiply(rows slice: Range<Int>) {
    let d = matrix.dimension
    precondition(
      slice.count <= Self.rows && slice.lowerBound >= 0 && slice.upperBound <= matrix.rows
        && queryElements.count == queryLengths.count * d,
      "the operands of a matrix product do not fit together")
    let (matrix, queryElements, count) = (matrix, queryElements, Int32(queryLengths.count))
    matrix.withElements { elements in
      unsafe elements.withUnsafeBufferPointer { elements in
        unsafe queryElements.withUnsafeBufferPointer { queries in
          unsafe products.withUnsafeMutableBufferPointer { products in
            guard let a = queries.baseAddress, let b = elements.baseAddress else { return }
            for start in stride(from: 0, to: d, by: Self.depth) {
              unsafe cblas_sgemm(
                CblasRowMajor, CblasNoTrans, CblasTrans, count, Int32(slice.count),
                Int32(min(Self.depth, d - start)), 1, a + start, Int32(d), b + slice.lowerBound * d + start, Int32(d),
                start == 0 ? 0 : 1, products.baseAddress, Int32(Self.rows))
            }
          }
        }
      }
    }
  }

  /// Computes ``lower`` and ``upper`` of the distances of one query from the rows that were multiplied last.
  mutating func bound(query: Int, rows slice: Range<Int>) {
    // Copies share their elements.
    let (products, lengths) = (products, lengths)
    bound(
      products.span.extracting(query * Self.rows..<query * Self.rows + slice.count), queryLengths[query],
      lengths.span.extracting(slice))
  }

  private mutating func bound(_ product: Span<Float>, _ a: Double, _ b: Span<Double>) {
    switch metric {
    case .cosine:
      let slack = gamma + 0x1p-20
      for i in product.indices {
        let distance = 1 - Double(product[i]) / (a * b[i])
        lower[i] = Float(distance - slack)
        upper[i] = Float(distance + slack)
      }
    case .euclidean:
      for i in product.indices {
        let square = a * a + b[i] * b[i] - 2 * Double(product[i])
        let slack = 2 * gamma * a * b[i] + 0x1p-22 * (a * a + b[i] * b[i])
        lower[i] = Float(max(0, square - slack).squareRoot() * (1 - 0x1p-20))
        upper[i] = Float(max(0, square + slack).squareRoot() * (1 + 0x1p-20))
      }
    case .innerProduct:
      for i in product.indices {
        let slack = (gamma + 0x1p-20) * a * b[i]
        lower[i] = Float(-Double(product[i]) - slack)
        upper[i] = Float(-Double(product[i]) + slack)
      }
    }
  }
}
