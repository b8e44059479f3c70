public import ImageSimilarityCore
import Synchronization

/// An index for millions of vectors: a graph of near neighbours, in which a search walks towards the query and looks at a small
/// part of the vectors (HNSW: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical
/// navigable small world graphs", IEEE TPAMI 2018).
///
/// Answers are approximate: a near vector may be missing, the less often the larger `ef` is; ``recall(at:queries:ef:)`` says
/// how often. Distances are right: with ``Storage/fp32`` and ``Storage/fp16`` they are those of ``ExactIndex``, bit by bit.
/// Up to 1,024 vectors are simply compared one by one, and answers are exact.
///
/// - Walks compare codes of a byte an element; the nearest of what they find are compared in full.
/// - The same vectors, parameters and calls give the same graph, whatever the number of threads and the instruction set.
/// - Removing takes a vector out of the graph, and links its neighbours to each other: nothing of it remains, and its memory
///   is used again.
/// - Searches go on while one thread at a time writes; they see each vector before or after a change.
///
/// With ``Metric/innerProduct``, vectors of very different lengths are found less reliably, as in every graph of this kind.
///
/// ## Memory and time
/// A vector of d elements takes `d + 16` bytes, rounded up to 64, for its code, `8 m + 5` and a few bytes for links, and with fp32
/// or fp16 `4 d + 8` or `2 d + 8` more; and its id, and an entry of a dictionary. A search takes about
/// O(`ef * m * dimension * log(count)`); adding a vector is a search with `efConstruction`; removing one also passes over all
/// links once a call.
public final class GraphIndex: SimilarityIndex {
  /// What a graph is like.
  public struct Parameters: Sendable, Hashable, Codable {
    /// Links of a vector on the upper levels; twice as many on the lowest.
    public var m: Int
    /// Near vectors that are collected to choose a new vector's links from: more make a better graph, more slowly.
    public var efConstruction: Int
    /// Near vectors that a search collects; at least as many as are wanted. More find more, more slowly.
    public var ef: Int
    /// Draws the vectors' levels.
    public var seed: UInt64

    public init(m: Int = 16, efConstruction: Int = 200, ef: Int = 64, seed: UInt64 = 1) {
      self.m = m
      self.efConstruction = efConstruction
      self.ef = ef
      self.seed = seed
    }
  }

  /// What is kept of vectors beside their codes.
  public enum Storage: String, Sendable, Hashable, Codable, CaseIterable {
    /// All elements: 4 bytes each.
    case fp32
    /// All elements, rounded to 2 bytes each; distances are those of the rounded vectors.
    case fp16
    /// Nothing: distances are those of codes, which are off by about a hundredth, and of a vector to itself not exactly 0.
    case int8
  }

  public let dimension: Int
  public let metric: Metric
  public let parameters: Parameters
  public let storage: Storage
  /// How many threads a call uses at most.
  public let threads: Int

  let nodes: GraphNodes
  /// Held for reading during a query, and for writing while ``nodes`` changes.
  let lock = ReadWriteLock()
  /// Held during a whole change. How many vectors were ever added: their levels follow from it.
  let writer = Mutex(0)
  let walks = WalkPool()

  /// - Precondition: `dimension` is from 1 to 65,536, `m` from 2 to 512, `efConstruction` and `ef` from 1 to 2^20, `threads` at
  ///   least 1.
  public init(
    dimension: Int, metric: Metric = .cosine, parameters: Parameters = Parameters(), storage: Storage = .fp32,
    threads: Int = 1
  ) {
    precondition((1...65_536).contains(dimension), "a graph's vectors have between 1 and 65,536 elements")
    precondition((2...512).contains(parameters.m), "m is a number of links, from 2 to 512")
    precondition(
      (1...1 << 20).contains(parameters.ef) && (1...1 << 20).contains(parameters.efConstruction),
      "ef and efConstruction are numbers of vectors, from 1 to 2^20")
    precondition(threads > 0, "an index needs a thread")
    self.dimension = dimension
    self.metric = metric
    self.parameters = parameters
    self.storage = storage
    self.threads = threads
    nodes = GraphNodes(dimension: dimension, metric: metric, storage: storage, m: parameters.m)
  }

  public var count: Int { lock.read { nodes.count } }

  /// All ids in ascending order.
  ///
  /// - Complexity: O(`count * log(count)`)
  public var ids: [String] { lock.read { Array(nodes.locations.keys) }.sorted() }

  /// - Complexity: O(1)
  public func contains(_ id: String) -> Bool { lock.read { nodes.locations[id] != nil } }

  /// The vector stored under `id`, as it is stored; with the cosine and ``Storage/int8``, at about length 1.
  ///
  /// - Complexity: O(`dimension`)
  public func vector(id: String) -> [Float]? {
    lock.read { nodes.locations[id].map(nodes.vector) }
  }

  /// Bytes of codes, links and vectors, without ids.
  public var byteCount: Int { lock.read { nodes.byteCount } }

  /// Stores row `i` of `vectors` under `ids[i]`; of equal ids within one call, the last row stays.
  ///
  /// - Complexity: a search with `efConstruction` a row. Many rows in one call are added on all ``threads``.
  public func upsert(_ vectors: EmbeddingMatrix, ids: [String]) throws(SimilarityError) {
    guard ids.count == vectors.rows else {
      throw SimilarityError(
        .invalidArgument, "each vector needs an id: found \(ids.count) ids for \(vectors.rows) rows")
    }
    try vectors.requireDimension(dimension)
    try requireFinite(vectors, what: "the vector to store") { "\($0) (id \"\(ids[$0])\")" }
    var last: [String: Int] = [:]
    for (row, id) in ids.enumerated() { last[id] = row }
    writer.withLock { added in
      insert(vectors, rows: ids.indices.filter { last[ids[$0]] == $0 }, ids: ids, added: &added)
    }
  }

  /// Removes what is there of `ids`, and returns how many were.
  ///
  /// - Complexity: O(`count * m`) for the call, and some searches a vector.
  @discardableResult
  public func remove(_ ids: [String]) -> Int {
    writer.withLock { _ in
      let gone = lock.write { ids.compactMap(nodes.unname) }
      unlink(gone)
      return gone.count
    }
  }

  func requireFinite(
    _ vectors: EmbeddingMatrix, what: String, name: (Int) -> String
  ) throws(SimilarityError) {
    let norms = vectors.squaredNorms()
    if let row = norms.firstIndex(where: { !$0.isFinite }) {
      throw SimilarityError(.notFinite, "\(what) in row \(name(row)) has an element that is NaN or infinite")
    }
    guard storage == .fp16 else { return }
    for row in 0..<vectors.rows where vectors[row].contains(where: { abs($0) >= 65520 }) {
      throw SimilarityError(
        .notFinite, "\(what) in row \(name(row)) has an element above 65504, the largest number in fp16")
    }
  }
}
