/// A mean over queries, and how sure it is.
public struct MeasureEstimate: Sendable, Hashable, Codable {
  public var value: Double
  /// The confidence interval by the bootstrap over the queries; nil where nothing was drawn. In JSON, `[lower, upper]`.
  public var interval: ClosedRange<Double>?

  public init(value: Double, interval: ClosedRange<Double>? = nil) {
    self.value = value
    self.interval = interval
  }
}

/// A difference of two means over the same queries, and how sure it is.
public struct MeasureDifference: Sendable, Hashable, Codable {
  /// Above 0 where it is better than what it is compared with.
  public var value: Double
  /// The confidence interval by the bootstrap: both means are taken over the same drawn queries. In JSON, `[lower, upper]`.
  public var interval: ClosedRange<Double>?
  /// The two-sided level at which the percentile interval touches 0: `2 (1 + n) / (1 + resamples)`, at most 1, where `n` is how
  /// many drawn differences are on the other side of 0 or on it.
  public var pValue: Double?

  private enum CodingKeys: String, CodingKey {
    case value, interval
    case pValue = "p_value"
  }
}
