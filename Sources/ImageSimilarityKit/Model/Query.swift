public import ImageSimilarityCore
public import ImageSimilaritySearch

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
    let (segments, projection) = try store.searched()
    let matrix = EmbeddingMatrix([try await vector(of: query, in: segments, projection)])
    let filter = isIncluded.map { isIncluded in
      { @Sendable (segment: Int, row: Int) in isIncluded(try segments[segment].record(row)) }
    }
    let neighbors = try await search(segments).search(matrix, request, where: filter)[0]
    return try neighbors.enumerated().compactMap { position, neighbor in
      // A picture that was removed since the search is no hit any more.
      try record(neighbor.id).map {
        Hit(rank: position + 1, id: neighbor.id, distance: neighbor.distance, record: $0)
      }
    }
  }

  /// How many hits are wanted at most: five where nothing is said, all within the radius where only that is.
  static func hitCount(_ k: Int?, _ radius: Float?) -> Int? { k ?? (radius == nil ? 5 : nil) }

  /// The vector to search for.
  private func vector(
    of query: ImageQuery, in segments: [SegmentStore.Segment], _ projection: LearnedProjection?
  ) async throws -> [Float] {
    switch query {
    case .image(let source):
      return searched(try await embedder.get().embed(source), projection)
    case .vector(let vector):
      guard vector.count == extractor.fingerprint.dimension else {
        throw SimilarityError(
          .dimensionMismatch, "the query has \(vector.count) elements, expected \(extractor.fingerprint.dimension)")
      }
      guard vector.allSatisfy(\.isFinite) else {
        throw SimilarityError(.notFinite, "the query has an element that is NaN or infinite")
      }
      return searched(vector, projection)
    case .id(let id):
      guard let vector = try segments.searchedVector(ofID: id) else {
        throw SimilarityError(.unknownID, "there is no picture '\(id)' in \(url.path)")
      }
      return vector
    }
  }

  /// What becomes of an extractor's embedding before it is compared.
  private func searched(_ embedding: [Float], _ projection: LearnedProjection?) -> [Float] {
    guard let projection else { return embedding }
    // Rounded as the stored embeddings are, so that the same picture is at distance 0.
    let rounded = StoredElements(EmbeddingMatrix([embedding]), as: store.precision).row(0, dimension: embedding.count)
    return projection.project(EmbeddingMatrix([rounded]), threads: 1)[0]
  }
}
