/// The smallest and the largest element of an activation tensor, over some pictures.
public struct ActivationRange: Sendable, Hashable {
  public private(set) var low: Float
  public private(set) var high: Float

  /// - Precondition: both are finite, and `low <= high`.
  public init(low: Float, high: Float) {
    precondition(Self.isRange(low, high), "a range has finite bounds in ascending order, not \(low) and \(high)")
    // There is one zero, so that equal ranges have equal bits.
    self.low = low + 0
    self.high = high + 0
  }

  private static func isRange(_ low: Float, _ high: Float) -> Bool { low.isFinite && high.isFinite && low <= high }

  /// Becomes the smallest range that holds both.
  public mutating func formUnion(_ other: ActivationRange) {
    low = min(low, other.low)
    high = max(high, other.high)
  }
}

extension ActivationRange: Codable {
  private enum CodingKeys: CodingKey {
    case low, high
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let low = try container.decode(Float.self, forKey: .low)
    let high = try container.decode(Float.self, forKey: .high)
    guard Self.isRange(low, high) else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "expected finite bounds in ascending order, found \(low) and \(high)"))
    }
    self.init(low: low, high: high)
  }
}
