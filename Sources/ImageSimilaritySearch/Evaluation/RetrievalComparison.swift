/// How well several models find the same images.
public struct RetrievalComparison: Sendable, Hashable, Codable {
  public struct Entry: Sendable, Hashable, Codable {
    /// What the caller calls it.
    public var name: String
    public var evaluation: RetrievalEvaluation
    /// The means over queries less those of the first entry; empty in the first.
    public var differences: [RetrievalMeasure: MeasureDifference]
    /// The same of the means over classes.
    public var macroDifferences: [RetrievalMeasure: MeasureDifference]

    private enum CodingKeys: String, CodingKey {
      case name, evaluation, differences
      case macroDifferences = "macro_differences"
    }
  }

  /// One a model, in the caller's order. All have the same images, classes and queries.
  public var entries: [Entry]
  /// Images that at least one of the models lacks, and that are not compared.
  public var notShared: Int

  private enum CodingKeys: String, CodingKey {
    case entries
    case notShared = "not_shared"
  }
}
