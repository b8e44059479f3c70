/// Finds the stored embeddings that are nearest to a query.
///
/// ## Conforming
/// Requirements are asynchronous and take batches, so that an index may live on another machine.
///
/// - Ids are unique. ``upsert(_:ids:)`` replaces the vector of an id that is already there.
/// - A call that throws changes nothing.
/// - Vectors of another dimension, with NaN or infinite elements, and requests that ``SearchRequest/validate(for:)`` refuses
///   are refused with a ``SimilarityError``.
/// - Results are sorted by ascending distance; equal distances by ascending id (the order of `String`'s `<`).
/// - No distance is NaN. Except with ``Metric/innerProduct``, none is negative, and that of a vector to itself is exactly 0.
///
/// `IndexConformance` in the product ImageSimilarityTesting checks all of this.
public protocol SimilarityIndex: Sendable {
  /// Number of elements of each vector.
  var dimension: Int { get }
  var metric: Metric { get }
  /// How many vectors there are.
  var count: Int { get async throws }

  /// Stores row `i` of `vectors` under `ids[i]`; of equal ids within one call, the last row stays.
  func upsert(_ vectors: EmbeddingMatrix, ids: [String]) async throws

  /// Removes what is there of `ids`, and returns how many were.
  @discardableResult
  func remove(_ ids: [String]) async throws -> Int

  /// The neighbours of each row of `queries`, in the order of the rows.
  func search(_ queries: EmbeddingMatrix, _ request: SearchRequest) async throws -> [[Neighbor]]
}

/// How far apart two vectors are.
public enum Metric: String, Sendable, Hashable, Codable, CaseIterable {
  /// `1 - cos(a, b)`, from 0 to 2. A zero vector is at 0 from another zero vector and at 1 from any other.
  case cosine
  /// `sqrt(sum((a - b)^2))`, from 0.
  case euclidean
  /// `-sum(a * b)`: the larger the inner product, the nearer, and negative where the product is positive. Not a distance in
  /// the strict sense: a longer vector may be nearer to a vector than the vector itself.
  case innerProduct = "inner-product"
}

/// How much a search returns.
public struct SearchRequest: Sendable, Hashable {
  /// At most so many neighbours; all within the radius where nil.
  public var k: Int?
  /// Only neighbours at this distance or nearer.
  public var radius: Float?

  public init(k: Int? = nil, radius: Float? = nil) {
    self.k = k
    self.radius = radius
  }

  /// Throws ``SimilarityError/Code/invalidArgument`` unless the request asks for something: `k` is at least 1, the radius is a
  /// distance that the metric can have, and there is one of the two.
  public func validate(for metric: Metric) throws(SimilarityError) {
    guard k != nil || radius != nil else {
      throw SimilarityError(.invalidArgument, "a search needs k, a radius, or both")
    }
    if let k, k < 1 {
      throw SimilarityError(.invalidArgument, "k is the number of neighbours wanted, at least 1; found \(k)")
    }
    guard let radius else { return }
    if radius.isNaN {
      throw SimilarityError(.invalidArgument, "a radius is a distance; found \(radius)")
    }
    if metric != .innerProduct, radius < 0 {
      throw SimilarityError(.invalidArgument, "a radius is a distance, at least 0; found \(radius)")
    }
  }
}

/// One stored vector, as seen from a query.
public struct Neighbor: Sendable, Hashable {
  public var id: String
  public var distance: Float

  public init(id: String, distance: Float) {
    self.id = id
    self.distance = distance
  }
}

extension Neighbor: Comparable {
  /// Nearest first; at equal distance, the lower id first.
  public static func < (a: Neighbor, b: Neighbor) -> Bool {
    a.distance != b.distance ? a.distance < b.distance : a.id < b.id
  }
}
