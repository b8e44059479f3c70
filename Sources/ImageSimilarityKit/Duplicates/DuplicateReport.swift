public import ImageSimilaritySearch

/// Why pictures are in one group.
public enum DuplicateKind: String, Sendable, Hashable, Codable, CaseIterable {
  /// The same bytes.
  case exact
  /// The same photograph: resized, recompressed, cropped, turned, mirrored, brighter, grey or with a watermark.
  case edited
  /// Shots of one scene, one right after the other.
  case burst
}

/// What ``SimilarityModel/duplicates(_:progress:)`` looks for.
public struct DuplicateOptions: Sendable {
  public var kinds = Set(DuplicateKind.allCases)
  /// Shots are of one burst where they were all taken within so many seconds.
  public var burstSeconds = 10.0
  /// With how many of its nearest neighbours, by embedding, a picture is compared in search of cropped copies and bursts.
  public var neighbors = 12
  /// Only pictures whose records match; all where nil.
  public var predicate: RecordPredicate?

  public init() {}
}

/// The groups of pictures of a model that are copies of one another, or nearly.
public struct DuplicateReport: Sendable, Hashable, Codable {
  /// Pictures that were looked at.
  public var images: Int
  /// By the id of their best picture, those of copies before bursts. No picture is in two groups of copies; the best picture
  /// of a group of copies may be in a burst, too.
  public var groups: [DuplicateGroup]
  /// Pictures whose files are gone or cannot be read any more; they are in no group.
  public var unreadable: [SkippedImage]

  /// Groups of one kind.
  public func groups(of kind: DuplicateKind) -> [DuplicateGroup] { groups.filter { $0.kind == kind } }
}

/// Pictures that are copies of one another, or shots of one burst.
public struct DuplicateGroup: Sendable, Hashable, Codable {
  public var kind: DuplicateKind
  /// The id of the picture that is worth keeping, as far as sharpness, exposure, size and colour say; one that the user said
  /// to keep comes first.
  public var best: String
  /// Why, in words.
  public var reason: String
  /// The best one first, then by descending score.
  public var members: [DuplicateMember]
  /// The two members that are least alike.
  public var worstPair: DuplicatePair

  private enum CodingKeys: String, CodingKey {
    case kind, best, reason, members
    case worstPair = "worst_pair"
  }
}

/// A picture of a group.
public struct DuplicateMember: Sendable, Hashable, Codable {
  public var id: String
  public var path: String
  /// Size of the file.
  public var bytes: Int64
  /// Size of the upright picture in pixels.
  public var width: Int
  public var height: Int
  /// Detail where the picture has some, from 0 to 1: that of the sharpest member is 1. Compared at the size of the smallest
  /// member, and at 512 pixels at most.
  public var sharpness: Double
  /// 1 where no pixel is clipped and the mean is middle grey, down to 0.
  public var exposure: Double
  /// Whether there is any colour.
  public var isColored: Bool
  /// What the best picture is chosen by, from 0 to 1.
  public var score: Double
  /// Whether the user said to keep it.
  public var isKept: Bool
  /// What was done to it, as far as can be told by comparing it with the best picture: `copy`, `turned-90`, `mirrored`,
  /// `cropped`, `cropped-less` (it shows more), `smaller`, `larger`, `grey`, `brighter`, `darker`.
  public var edits: [String]

  private enum CodingKeys: String, CodingKey {
    case id, path, bytes, width, height, sharpness, exposure, score, edits
    case isColored = "is_colored"
    case isKept = "is_kept"
  }
}

/// Two pictures of a group and how much they are alike.
public struct DuplicatePair: Sendable, Hashable, Codable {
  public var first: String
  public var second: String
  /// From 0 to 1. Of copies, how well they correlate where both lie over the picture in the middle of the group (1 for
  /// equal bytes, and where they show different parts of it); of a burst, 1 less the distance of the embeddings.
  public var similarity: Double
}

/// How far a search for duplicates is.
public struct DuplicateProgress: Sendable, Hashable {
  public enum Stage: String, Sendable, Hashable {
    /// Files are read, and pictures made small.
    case reading
    /// Pairs that may be alike are looked for.
    case pairing
    /// Pairs are compared.
    case comparing
    /// The pictures of groups are looked at, to find the best.
    case choosing
  }

  public typealias Handler = (DuplicateProgress) -> Void

  public var stage: Stage
  /// Pictures, pairs or groups.
  public var done: Int
  public var total: Int
}
