/// The arithmetic that a network computes in.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// IEEE single precision throughout.
  case fp32
  /// Weights and activations are rounded to bfloat16 (8 bits of significand); products are accumulated in fp32.
  case bf16
  /// Weights are signed 8-bit integers with a scale per filter, activations unsigned 8-bit integers with a scale and a zero
  /// point per tensor, which a ``Calibration`` determines; products are accumulated exactly.
  case int8

  /// What a fingerprint says: the precision, and for ``int8`` the calibration.
  func fingerprint(_ calibration: Calibration?) -> String {
    calibration.map { "\(rawValue):\($0.digest)" } ?? rawValue
  }

  /// The precision that a fingerprint states; nil where it is none of this package.
  public init?(fingerprint: String) {
    self.init(rawValue: String(fingerprint.prefix { $0 != ":" }))
  }
}
