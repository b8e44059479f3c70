/// A promise that a conforming type does not keep.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// What the protocol asks for.
  public let requirement: String
  /// What was found instead.
  public let detail: String

  public init(requirement: String, detail: String) {
    self.requirement = requirement
    self.detail = detail
  }

  public var description: String { "\(requirement): \(detail)" }
}
