/// A pair of pictures whose distance is known, and whether they are the same: the same picture, or the same kind of thing.
public struct JudgedDistance: Sendable, Hashable {
  public var distance: Float
  public var isSame: Bool
  /// How much the pair counts, above 0. A pair that stands for many of the population has more weight.
  public var weight: Double
  /// Pairs that are not independent of one another, those of one query, say, have one number, and are never divided between
  /// what is learnt from and what it is tried on. Nil for a pair on its own.
  public var group: Int?

  public init(distance: Float, isSame: Bool, weight: Double = 1, group: Int? = nil) {
    self.distance = distance
    self.isSame = isSame
    self.weight = weight
    self.group = group
  }
}
