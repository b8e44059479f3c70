/// How well the images of one class are found.
public struct ClassEvaluation: Sendable, Hashable, Codable {
  public var label: String
  /// Images that have the label.
  public var images: Int
  /// Queries that have the label.
  public var queries: Int
  /// The means over these queries; empty where there are none.
  public var measures: [RetrievalMeasure: MeasureEstimate]
  /// The places of ``confusions``: the first `min(10, R)` ranks of each of these queries, R being how many images are relevant
  /// to it. A perfect ranking has only relevant images there.
  public var firstRanks: Int
  /// The other classes that take the most of these places, at most five, the worst first.
  public var confusions: [ClassConfusion]

  private enum CodingKeys: String, CodingKey {
    case label, images, queries, measures, confusions
    case firstRanks = "first_ranks"
  }
}

/// How often a class stands where another should.
public struct ClassConfusion: Sendable, Hashable, Codable {
  /// The class that is there instead.
  public var label: String
  /// How many places its images take, of ``ClassEvaluation/firstRanks``. An image of several labels counts for each.
  public var count: Int
}
