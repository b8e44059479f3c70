#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// A probability that falls along a logistic curve: `1 / (1 + exp(-(intercept + slope * x)))`, `slope` at most 0.
package struct LogisticCurve: Sendable, Hashable, Codable {
  package var intercept: Double
  package var slope: Double

  package func probability(_ x: Double) -> Double { Self.probability(logit: intercept + slope * x) }

  private static func probability(logit: Double) -> Double {
    if logit >= 0 { return 1 / (1 + exp(-logit)) }
    let odds = exp(logit)
    return odds / (1 + odds)
  }

  /// The curve of the highest likelihood with Platt's targets, which stand for one more sample of each kind: `(P + 1) / (P + 2)`
  /// for the same, `1 / (N + 2)` for the different, where `P` and `N` are their weights. They keep the slope finite where the
  /// samples can be told apart without error. Where the probability would rise with `x`, it is constant instead.
  ///
  /// Platt, Probabilistic Outputs for Support Vector Machines (1999); minimised by Newton's method with backtracking: Lin, Lin,
  /// Weng, A Note on Platt's Probabilistic Outputs for Support Vector Machines (2007).
  ///
  /// - Precondition: all have one length, at least 1; weights are above 0, and count samples: their mean is 1.
  /// - Complexity: O(`x.count`) a step, at most 100 steps.
  package init(x: [Double], isSame: [Bool], weights: [Double]) {
    var (same, different) = (0.0, 0.0)
    for i in x.indices { if isSame[i] { same += weights[i] } else { different += weights[i] } }
    let (high, low) = ((same + 1) / (same + 2), 1 / (different + 2))
    let problem = Likelihood(x: x, targets: isSame.map { $0 ? high : low }, weights: weights)
    let constant = LogisticCurve(
      intercept: log((same * high + different * low) / (same * (1 - high) + different * (1 - low))), slope: 0)
    let fitted = problem.minimize(from: LogisticCurve(intercept: log((different + 1) / (same + 1)) * -1, slope: 0))
    self = fitted.slope < 0 && fitted.slope.isFinite && fitted.intercept.isFinite ? fitted : constant
  }

  package init(intercept: Double, slope: Double) {
    self.intercept = intercept
    self.slope = slope
  }
}

/// The negative logarithm of the likelihood of a logistic curve.
private struct Likelihood {
  let x: [Double]
  let targets: [Double]
  let weights: [Double]

  func value(_ curve: LogisticCurve) -> Double {
    var sum = 0.0
    for i in x.indices {
      let z = curve.intercept + curve.slope * x[i]
      // log(1 + exp(z)) - target * z, without overflow.
      sum += weights[i] * (max(z, 0) + log1p(exp(-abs(z))) - targets[i] * z)
    }
    return sum
  }

  func minimize(from start: LogisticCurve) -> LogisticCurve {
    var curve = start
    var current = value(curve)
    for _ in 0..<100 {
      // A small ridge keeps the Hessian invertible where all x are equal.
      var (h11, h12, h22) = (1e-12, 0.0, 1e-12)
      var (g1, g2) = (0.0, 0.0)
      for i in x.indices {
        let p = curve.probability(x[i])
        let curvature = weights[i] * p * (1 - p)
        h11 += curvature
        h12 += curvature * x[i]
        h22 += curvature * x[i] * x[i]
        let error = weights[i] * (p - targets[i])
        g1 += error
        g2 += error * x[i]
      }
      if abs(g1) < 1e-9, abs(g2) < 1e-9 { break }
      let determinant = h11 * h22 - h12 * h12
      guard determinant > 0 else { break }
      let step1 = -(h22 * g1 - h12 * g2) / determinant
      let step2 = -(h11 * g2 - h12 * g1) / determinant
      let descent = g1 * step1 + g2 * step2
      var length = 1.0
      var next = curve
      while length >= 1e-10 {
        next = LogisticCurve(intercept: curve.intercept + length * step1, slope: curve.slope + length * step2)
        let candidate = value(next)
        if candidate < current + 1e-4 * length * descent {
          current = candidate
          break
        }
        length /= 2
      }
      guard length >= 1e-10 else { break }
      curve = next
    }
    return curve
  }
}
