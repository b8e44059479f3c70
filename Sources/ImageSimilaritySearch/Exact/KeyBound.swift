import ImageSimilarityCore

/// What codes say for certain about a distance.
///
/// A vector x and what its code stands for, x', differ by a vector of known length e_x (``CodedVectors/errors``); likewise q and q'
/// of a query. So `q.x = q'.x' + q'.(x - x') + (q - q').x`, and by Cauchy and Schwarz
/// `|q.x - q'.x'| <= |q'| e_x + e_q |x|`. The product of the codes, `q'.x'`, is an integer times two scales, and exact.
///
/// A row's *key* is this lower bound of, for cosine, `-q.x / (|q| |x|)`, which is the distance less 1; for Euclidean, the
/// squared distance; for the inner product, `-q.x`. ``limit(distance:_:)`` is such that every row whose final distance (fp64,
/// rounded to fp32) is at most `distance` has a key at most the limit, or a key that is NaN.
///
/// ## Rounding
/// Keys are computed in fp32 (unit roundoff u = 2^-24) in at most 12 operations on numbers that are at most `|q| |x|` times
/// 1 + 2^-6 (relative to it for cosine, and for Euclidean `(|x| + |q|)^2`): an error below 16u. Twice as much, 2^-19, is taken
/// off ``slacks`` (times |x| |q|), and for Euclidean 2^-20 off both squared norms. Lengths outside of 2^-30...2^30 could
/// overflow or underflow: rows of such a length have an infinite error and therefore the key -inf or NaN, and so do all rows
/// for such queries (``offsets`` is -inf), and for cosine rows and queries of length 0.
struct KeyBound: Sendable {
  let scales: [Float]
  let reaches: [Float]
  let slacks: [Float]
  let offsets: [Float]
  let zeros: [Int32]
  let sums: [Int32]

  /// - Parameter rows: the queries' rows.
  init(_ queries: CodedVectors, rows: Range<Int>, metric: Metric) {
    var scales: [Float] = []
    var reaches: [Float] = []
    var slacks: [Float] = []
    var offsets: [Float] = []
    for row in rows {
      let norm = queries.squaredNorms[row].squareRoot()
      let error = Double(queries.errors[row])
      if !error.isFinite || (norm == 0 && metric == .cosine) {
        scales.append(0)
        reaches.append(0)
        slacks.append(0)
        offsets.append(-.infinity)
        continue
      }
      // Cosine compares with q / |q|.
      let unit = metric == .cosine ? 1 / norm : 1
      scales.append(Float(Double(queries.scales[row]) * unit))
      reaches.append(Float((norm + error) * unit * (1 + 0x1p-20)))
      slacks.append(Float((error + norm * 0x1p-19) * unit).nextUp)
      offsets.append(metric == .euclidean ? Float(norm * norm * (1 - 0x1p-20)) : 0)
    }
    self.scales = scales
    self.reaches = reaches
    self.slacks = slacks
    self.offsets = offsets
    zeros = rows.map { queries.zeros[$0] - 128 }
    sums = rows.map { queries.sums[$0] - 128 * Int32(truncatingIfNeeded: queries.dimension) }
  }

  /// The largest key of a row at `distance` or nearer.
  static func limit(distance: Float, _ metric: Metric) -> Float {
    let distance = Double(distance)
    let limit =
      switch metric {
      case .cosine: distance * (1 + 0x1p-22) - 1 + 0x1p-22
      case .euclidean: distance * distance * (1 + 0x1p-21)
      case .innerProduct: distance + abs(distance) * 0x1p-22
      }
    return Float(limit).nextUp
  }
}
