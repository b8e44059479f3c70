public import ImageSimilarityCore
import Synchronization

/// An index that looks at every vector and is never wrong.
///
/// The distance of a pair is computed in fp64 from its stored elements and rounded to `Float`; the answer is that of sorting
/// all vectors by that distance, whatever the order in which they were stored, the batch that a query comes in, the
/// number of threads and the instruction set. Each vector has a code of a byte an element beside it. A search reads the
/// codes, and compares in full only what they cannot rule out for certain; the bound is that of Cauchy and Schwarz on what
/// the codes leave.
///
/// - cosine: `max(0, 1 - ab / sqrt(aa * bb))`, so that equal vectors are at exactly 0.
/// - Euclidean: `sqrt(sum((a - b)^2))`.
/// - inner product: `-ab`.
///
/// Vectors live in immutable blocks. A search takes the blocks that are there when it begins and computes without a lock,
/// so reading, adding and removing go on side by side.
///
/// ## Memory and time
/// A vector takes 5 bytes an element (3 in fp16), 24 bytes, its id, and an entry of a dictionary. In fp32, a matrix of 256
/// rows or more is kept as it is (mapped memory stays mapped). A removed vector's memory is given back when most of its
/// block is removed.
///
/// A search is O(`queries * count * dimension`). Vectors of more than 32,768 elements, or of lengths outside of
/// 2^-30...2^30, are always compared in full.
public final class ExactIndex: SimilarityIndex {
  public let dimension: Int
  public let metric: Metric
  /// How the vectors' elements are stored.
  public let precision: ElementPrecision
  /// How many threads one search uses at most.
  public let threads: Int
  private let table: Mutex<BlockTable>

  /// - Precondition: `dimension` and `threads` are at least 1.
  public init(
    dimension: Int, metric: Metric = .cosine, precision: ElementPrecision = .fp32, threads: Int = 1
  ) {
    precondition(dimension > 0 && dimension <= Int32.max, "a vector has between 1 and 2^31 - 1 elements")
    precondition(threads > 0, "a search needs a thread")
    self.dimension = dimension
    self.metric = metric
    self.precision = precision
    self.threads = threads
    self.table = Mutex(BlockTable())
  }

  public var count: Int { table.withLock { $0.count } }

  /// All ids in ascending order.
  ///
  /// - Complexity: O(`count * log(count)`)
  public var ids: [String] { table.withLock { $0.ids }.sorted() }

  /// - Complexity: O(1)
  public func contains(_ id: String) -> Bool { table.withLock { $0.location(of: id) != nil } }

  /// The vector stored under `id`.
  ///
  /// - Complexity: O(`dimension`)
  public func vector(id: String) -> [Float]? {
    let found = table.withLock { table in
      table.location(of: id).map { (table.block($0.block), $0.row) }
    }
    return found.map { block, row in block.vectors.elements.row(row, dimension: dimension) }
  }

  /// Stores row `i` of `vectors` under `ids[i]`; of equal ids within one call, the last row stays.
  ///
  /// - Complexity: O(`rows * dimension`), amortised; times log(``VectorBlock/mergedRows``) where rows come in small
  ///   numbers.
  public func upsert(_ vectors: EmbeddingMatrix, ids: [String]) throws(SimilarityError) {
    guard ids.count == vectors.rows else {
      throw SimilarityError(
        .invalidArgument, "each vector needs an id: found \(ids.count) ids for \(vectors.rows) rows")
    }
    try vectors.requireDimension(dimension)
    let coded = CodedVectors(encoding: vectors, as: precision)
    try coded.requireFinite(what: "the vector to store") { "\($0) (id \"\(ids[$0])\")" }
    guard !ids.isEmpty else { return }
    table.withLock { $0.upsert(VectorBlock(coded, ids: ids)) }
  }

  @discardableResult
  public func remove(_ ids: [String]) -> Int {
    table.withLock { $0.remove(ids) }
  }

  /// The neighbours of each row of `queries`, in the order of the rows.
  ///
  /// Throws `CancellationError` soon after its task is cancelled.
  public func search(_ queries: EmbeddingMatrix, _ request: SearchRequest) async throws -> [[Neighbor]] {
    try await search(in: table.withLock { $0.snapshot() }).search(queries, request)
  }

  /// The neighbours of each row of `queries` among the vectors whose ids `isIncluded` accepts: `k` of them wherever so many
  /// pass.
  ///
  /// `isIncluded` is called from several threads, for those ids alone that are near enough to be hits.
  public func search(
    _ queries: EmbeddingMatrix, _ request: SearchRequest, where isIncluded: @escaping @Sendable (String) -> Bool
  ) async throws -> [[Neighbor]] {
    let blocks = table.withLock { $0.snapshot() }
    return try await search(in: blocks).search(queries, request) { isIncluded(blocks[$0].id($1)) }
  }

  /// The neighbours of every vector of the index: what a search for each of them would find, in about half the time.
  ///
  /// Throws `CancellationError` soon after its task is cancelled.
  ///
  /// - Parameter includesSelf: whether a vector is a neighbour of itself.
  /// - Returns: an element a vector, in ascending order of their ids.
  /// - Complexity: O(`count² * dimension`) time; O(`count`) memory beside the result, a few hundred bytes each.
  public func neighborGraph(
    _ request: SearchRequest, includesSelf: Bool = false
  ) async throws -> [(id: String, neighbors: [Neighbor])] {
    try await search(in: table.withLock { $0.snapshot() }).neighborGraph(request, includesSelf: includesSelf)
  }

  private func search(in blocks: [LiveBlock]) -> ExactSearch {
    ExactSearch(blocks, dimension: dimension, metric: metric, threads: threads)
  }
}
