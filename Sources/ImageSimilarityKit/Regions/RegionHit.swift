public import ImageSimilarityCore
public import ImageSimilaritySearch

/// A picture of the model that a crop seems to come from, and the place in it.
public struct RegionHit: Sendable, Hashable {
  /// 1 for the most similar.
  public var rank: Int
  public var id: String
  /// How alike the crop and the region are: the mean cosine between their parts, at most 1. For networks that end in a
  /// rectifier, at least 0.
  public var similarity: Float
  /// Where the crop lies in the picture.
  public var region: PixelRegion
  /// The picture's own size, upright.
  public var size: PixelSize
  /// What the model knows about the picture.
  public var record: ImageRecord

  /// ``region`` in fractions of the picture's sides.
  public var relativeRegion: RelativeRegion { region.relative(to: size) }
}

/// How thoroughly a crop is looked for; see ``SimilarityModel/locate(crop:k:options:)``.
public struct LocateOptions: Sendable, Hashable {
  /// Pictures whose regions are looked at: those nearest to the crop as a whole.
  public var shortlist = 400
  /// Of those, the pictures whose regions are looked at closely.
  public var finalists = 60

  public init() {}
}
