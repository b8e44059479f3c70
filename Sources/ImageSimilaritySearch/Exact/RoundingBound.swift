import ImageSimilarityCore

/// What fp32 matrix products say for certain about a distance.
///
/// For vectors a, b of length d, a product summed in fp32 in any order, with or without fused operations, satisfies
/// `|fl(a.b) - a.b| <= gamma_d * |a| * |b|`, with `gamma_n = n * u / (1 - n * u)` and `u = 2^-24` (Higham, Accuracy and
/// Stability of Numerical Algorithms, 2nd edition, section 3.1), as long as nothing overflows or underflows; vectors
/// outside the range of ``covers(_:)`` are therefore left to fp64.
///
/// A row's *key* is an affine function of that product, computed in fp32, and a query's ``limit(distance:squaredNorm:)``
/// is such that every row whose final distance (fp64, rounded to fp32) is at most `distance` has a key at most the limit:
///
/// - cosine: key = `-fl(a.b) / |b|`, so the distance is `1 + key / |a|` but for `gamma_d + 2u` (the rounded `1 / |b|` and
///   the product with it) and `2u` (the distance, at most 2, rounded to fp32).
/// - Euclidean: key = `|b|^2 (1 - g) - 2 fl(a.b)`, so the squared distance is `key + |a|^2` but for the following multiples
///   of `|a|^2 + |b|^2`, which is at least `2 |a| |b|`: `gamma_d`, `3u` (offset and sum rounded), `5u` (the distance rounded
///   to fp32, and squared). `g` is the sum of all of these; the limit carries the part `g |a|^2`.
///
/// Both are below `gamma_(d + 16)`, which also leaves room for the fp64 computation (`d * 2^-52`) and for underflow of
/// single products (`d * 2^-149`, against `|a| |b| >= 2^-60`).
struct RoundingBound {
  let metric: Metric
  /// gamma_(d + 16); infinite where the vectors are so long that fp32 says nothing.
  let gamma: Double

  init(dimension: Int, metric: Metric) {
    self.metric = metric
    let nu = Double(dimension + 16) * 0x1p-24
    gamma = nu < 0.5 ? nu / (1 - nu) : .infinity
  }

  /// Whether a vector of this squared norm has fp32 products that neither overflow nor underflow.
  static func covers(_ squaredNorm: Double) -> Bool { squaredNorm >= 0x1p-60 && squaredNorm <= 0x1p60 }

  func scale(squaredNorm: Double) -> Float {
    switch metric {
    case .cosine: Float(-1 / squaredNorm.squareRoot())
    case .euclidean: -2
    case .innerProduct: -1
    }
  }

  func offset(squaredNorm: Double) -> Float {
    switch metric {
    case .cosine, .innerProduct: 0
    case .euclidean: gamma.isFinite ? Float(squaredNorm * (1 - gamma)) : 0
    }
  }

  /// The largest key of a row at `distance` or nearer from a query.
  func limit(distance: Float, squaredNorm: Double) -> Float {
    guard gamma.isFinite else { return .infinity }
    let distance = Double(distance)
    let limit =
      switch metric {
      case .cosine: (distance - 1 + gamma) * squaredNorm.squareRoot()
      case .euclidean: distance * distance - squaredNorm * (1 - gamma)
      case .innerProduct: Double.infinity
      }
    return Float(limit).nextUp
  }
}
