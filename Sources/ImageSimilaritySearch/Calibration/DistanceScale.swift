#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What a calibration takes for a distance: a number in which a logistic curve fits well.
struct DistanceScale: Sendable, Hashable, Codable {
  enum Kind: String, Sendable, Codable { case linear, logarithmic }

  var kind: Kind
  /// A typical distance, above 0: the median of those learnt from.
  var unit: Double

  /// A distance of 0 is this part of the unit, so that it has a logarithm.
  private static let smallest = 1e-3

  func callAsFunction(_ distance: Float) -> Double {
    switch kind {
    case .linear: Double(distance) / unit
    case .logarithmic: log(max(0, Double(distance)) / unit + Self.smallest)
    }
  }

  /// The unit for some distances: their median in size, or 1 where that is 0.
  static func unit(of distances: [Float]) -> Double {
    let sorted = distances.map(abs).sorted()
    let median = Double(sorted[sorted.count / 2])
    return median > 0 ? median : Double(sorted.last { $0 > 0 } ?? 1)
  }
}
