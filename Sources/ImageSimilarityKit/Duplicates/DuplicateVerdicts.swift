public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What people have said about the duplicates of a model. It is kept in the model, under the pictures' ids.
public struct DuplicateVerdicts: Sendable, Hashable, Codable {
  /// Two pictures that are not duplicates, in ascending order of their ids.
  public struct Pair: Sendable, Hashable, Codable, Comparable {
    public let first: String
    public let second: String

    public init(_ a: String, _ b: String) {
      first = min(a, b)
      second = max(a, b)
    }

    public static func < (a: Pair, b: Pair) -> Bool { (a.first, a.second) < (b.first, b.second) }
  }

  /// Pairs that are never in one group.
  public var notDuplicates: Set<Pair> = []
  /// Pictures that are the best of their group, and are not moved.
  public var keep: Set<String> = []

  public init() {}

  /// Whether the two were said not to be duplicates.
  public func areDifferent(_ a: String, _ b: String) -> Bool {
    !notDuplicates.isEmpty && notDuplicates.contains(Pair(a, b))
  }

  /// Each two of these pictures are not duplicates.
  public mutating func separate(_ ids: [String]) {
    for (i, a) in ids.enumerated() {
      for b in ids[(i + 1)...] where a != b { notDuplicates.insert(Pair(a, b)) }
    }
  }

  /// Takes back all that was said about these pictures.
  public mutating func forget(_ ids: [String]) {
    let ids = Set(ids)
    keep.subtract(ids)
    notDuplicates = notDuplicates.filter { !ids.contains($0.first) && !ids.contains($0.second) }
  }

  private enum CodingKeys: String, CodingKey {
    case keep
    case notDuplicates = "not_duplicates"
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    keep = Set(try container.decode([String].self, forKey: .keep))
    notDuplicates = Set(try container.decode([Pair].self, forKey: .notDuplicates))
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(keep.sorted(), forKey: .keep)
    try container.encode(notDuplicates.sorted(), forKey: .notDuplicates)
  }
}

extension SimilarityModel {
  private static let verdictsName = "verdicts"

  /// What people have said about the duplicates of this model.
  public func duplicateVerdicts() throws(SimilarityError) -> DuplicateVerdicts {
    try attachment(Self.verdictsName, as: DuplicateVerdicts.self) ?? DuplicateVerdicts()
  }

  /// Remembers what people have said, in one commit.
  ///
  /// - Throws: ``SimilarityError/Code/unknownID`` where it is about a picture that the model does not have and that was not
  ///   spoken of before.
  public func setDuplicateVerdicts(_ verdicts: DuplicateVerdicts) async throws {
    let before = try duplicateVerdicts()
    let news = verdicts.keep.subtracting(before.keep).union(
      verdicts.notDuplicates.subtracting(before.notDuplicates).flatMap { [$0.first, $0.second] })
    for id in news.sorted() where try !contains(id) {
      throw SimilarityError(.unknownID, "there is no picture '\(id)' in \(url.path)")
    }
    try await setAttachment(Self.verdictsName, verdicts == DuplicateVerdicts() ? nil : verdicts)
  }
}
