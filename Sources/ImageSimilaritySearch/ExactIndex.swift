public import ImageSimilarityCore
import Synchronization

/// An index that looks at every vector and is never wrong.
///
/// The distance of a pair is computed in fp64 from its fp32 elements and rounded to `Float`; the answer is that of sorting
/// all vectors by that distance, whatever the order in which they were stored, the batch that a query comes in, the
/// number of threads and the instruction set. Matrix products in fp32 (BLAS) only rule out vectors that their error bound
/// proves to be too far away; see ``RoundingBound``.
///
/// - cosine: `max(0, 1 - ab / sqrt(aa * bb))`, so that equal vectors are at exactly 0.
/// - Euclidean: `sqrt(sum((a - b)^2))`.
/// - inner product: `-ab`.
///
/// Vectors live in immutable blocks. A search takes the blocks that are there when it begins and computes without a lock,
/// so reading, adding and removing go on side by side.
///
/// ## Memory and time
/// A matrix of ``VectorBlock/retainedRows`` rows or more is kept as it is (mapped memory stays mapped) and read once, for
/// its norms; smaller ones are copied together. A removed vector's memory is given back when most of its block is
/// removed. Beside its elements a vector takes 16 bytes, its id, and an entry of a dictionary.
///
/// A search is O(`queries * count * dimension`).
public final class ExactIndex: SimilarityIndex {
  public let dimension: Int
  public let metric: Metric
  /// How many threads one search uses at most. BLAS itself is called from each and should be single-threaded.
  public let threads: Int
  private let table: Mutex<BlockTable>

  /// - Precondition: `dimension` and `threads` are at least 1.
  public init(dimension: Int, metric: Metric = .cosine, threads: Int = 1) {
    precondition(dimension > 0 && dimension <= Int32.max, "a vector has between 1 and 2^31 - 1 elements")
    precondition(threads > 0, "a search needs a thread")
    self.dimension = dimension
    self.metric = metric
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
    return found.map { block, row in block.matrix[row] }
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
    let norms = try squaredNorms(of: vectors, what: "the vector to store") { "\($0) (id \"\(ids[$0])\")" }
    guard !ids.isEmpty else { return }
    let block = VectorBlock(matrix: vectors, ids: ids, squaredNorms: norms, metric: metric)
    table.withLock { $0.upsert(block, metric: metric) }
  }

  @discardableResult
  public func remove(_ ids: [String]) -> Int {
    table.withLock { $0.remove(ids, metric: metric) }
  }

  /// The neighbours of each row of `queries`, in the order of the rows.
  ///
  /// Throws `CancellationError` soon after its task is cancelled.
  public func search(_ queries: EmbeddingMatrix, _ request: SearchRequest) async throws -> [[Neighbor]] {
    try request.validate(for: metric)
    let norms = try squaredNorms(of: queries, what: "the query") { "\($0)" }
    let scan = Scan(
      queries: queries, squaredNorms: norms, blocks: table.withLock { $0.snapshot() }, metric: metric, request: request)
    return try await scan.run(threads: threads)
  }

  private func squaredNorms(
    of vectors: EmbeddingMatrix, what: String, name: (Int) -> String
  ) throws(SimilarityError) -> [Double] {
    guard vectors.dimension == dimension else {
      throw SimilarityError(
        .dimensionMismatch, "the index holds vectors of \(dimension) elements, not of \(vectors.dimension)")
    }
    // A sum of squares of floats cannot overflow a double, so it is finite exactly when all elements are.
    let norms = vectors.squaredNorms()
    if let row = norms.firstIndex(where: { !$0.isFinite }) {
      throw SimilarityError(.notFinite, "\(what) in row \(name(row)) has an element that is NaN or infinite")
    }
    return norms
  }
}
