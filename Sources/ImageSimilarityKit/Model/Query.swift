public import ImageSimilarityCore
public import ImageSimilaritySearch
internal import Synchronization

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// What to look for.
public enum ImageQuery: Sendable, Hashable {
  /// A picture that need not be in the model.
  case image(ImageSource)
  /// An embedding of the model's extractor.
  case vector([Float])
  /// A picture of the model.
  case id(String)

  /// A picture file.
  public static func file(_ url: URL) -> ImageQuery { .image(.file(url)) }
  /// An encoded picture, a JPEG file's bytes, say.
  public static func data(_ data: Data) -> ImageQuery { .image(.data(data)) }
  /// A decoded picture.
  public static func pixels(_ image: RGBImage) -> ImageQuery { .image(.pixels(image)) }
}

/// A picture of the model that is near to the query.
public struct Hit: Sendable, Hashable {
  /// 1 for the nearest.
  public var rank: Int
  public var id: String
  /// In the model's metric; exactly 0 for the same picture.
  public var distance: Float
  /// What the model knows about the picture.
  public var record: ImageRecord
}

extension SimilarityModel {
  /// The pictures nearest to a query: the nearest first, at equal distance the lower id first.
  ///
  /// - Parameters:
  ///   - k: At most so many, at least 1. Five where neither `k` nor `radius` is given; all within the radius where only
  ///     `radius` is.
  ///   - radius: Only those at this distance or nearer.
  ///   - predicate: Only pictures whose records match; as many of them as there would be hits without it, where so many do.
  /// - Complexity: O(images * dimension)
  public func query(
    _ query: ImageQuery, k: Int? = nil, radius: Float? = nil, where predicate: RecordPredicate? = nil
  ) async throws -> [Hit] {
    let isIncluded = predicate.map { predicate in { @Sendable (record: ImageRecord) in predicate.matches(record) } }
    return try await hits(query, k: k, radius: radius, isIncluded)
  }

  /// Like ``query(_:k:radius:where:)-(_,_,_,RecordPredicate?)``, among the pictures whose records a closure accepts.
  ///
  /// - Parameter isIncluded: Called from several threads, for pictures that are near enough to be hits.
  public func query(
    _ query: ImageQuery, k: Int? = nil, radius: Float? = nil,
    where isIncluded: @escaping @Sendable (ImageRecord) -> Bool
  ) async throws -> [Hit] {
    try await hits(query, k: k, radius: radius, isIncluded)
  }

  private func hits(
    _ query: ImageQuery, k: Int?, radius: Float?, _ isIncluded: (@Sendable (ImageRecord) -> Bool)?
  ) async throws -> [Hit] {
    let request = SearchRequest(k: Self.hitCount(k, radius), radius: radius)
    try request.validate(for: metric)
    let matrix = EmbeddingMatrix([try await vector(of: query)])
    let neighbors =
      if let isIncluded {
        try await search(matrix, request, isIncluded)
      } else {
        try await index().search(matrix, request)[0]
      }
    return try neighbors.enumerated().compactMap { position, neighbor in
      // A picture that was removed since the search is no hit any more.
      try record(neighbor.id).map {
        Hit(rank: position + 1, id: neighbor.id, distance: neighbor.distance, record: $0)
      }
    }
  }

  private func search(
    _ queries: EmbeddingMatrix, _ request: SearchRequest, _ isIncluded: @escaping @Sendable (ImageRecord) -> Bool
  ) async throws -> [Neighbor] {
    // A record that cannot be read is neither in nor out.
    let failure = Mutex<(any Error)?>(nil)
    let found = try await index().search(queries, request) { [self] id in
      do {
        return try record(id).map(isIncluded) ?? false
      } catch {
        failure.withLock { $0 = error }
        return false
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return found[0]
  }

  /// How many hits are wanted at most: five where nothing is said, all within the radius where only that is.
  static func hitCount(_ k: Int?, _ radius: Float?) -> Int? { k ?? (radius == nil ? 5 : nil) }

  /// The embedding that a query stands for.
  private func vector(of query: ImageQuery) async throws -> [Float] {
    switch query {
    case .image(let source):
      return try await embedder.get().embed(source)
    case .vector(let vector):
      guard !vector.isEmpty else {
        throw SimilarityError(
          .dimensionMismatch, "the query has 0 elements, expected \(extractor.fingerprint.dimension)")
      }
      return vector
    case .id(let id):
      guard let vector = try store.embedding(id) else {
        throw SimilarityError(.unknownID, "there is no picture '\(id)' in \(url.path)")
      }
      return vector
    }
  }
}
