public import ImageSimilarityCore

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// How good the ranking is that each query gives: what a ``RetrievalEvaluation`` sums up, and a plot shows.
///
/// ```swift
/// let scores = try await RetrievalScores(leaveOneOut: embeddings, labelSets: labels)
/// let worst = scores.values(of: .averagePrecision).enumerated().min { $0.element < $1.element }
/// ```
public struct RetrievalScores: Sendable {
  /// One query, and what it was ranked for.
  public struct Query: Sendable, Hashable {
    /// Its row in the embeddings.
    public var row: Int
    /// R: how many rows are relevant to it; at least 1.
    public var relevant: Int
    /// The rows that are not relevant and have one of the first `min(10, R)` ranks, the nearest first.
    public var mistaken: [Int]
  }

  /// What was measured, in the order in which to show it.
  public let measures: [RetrievalMeasure]
  /// The queries in the order of their rows, without those to which nothing is relevant.
  public let queries: [Query]
  /// Number of images.
  public var images: Int { labels.rows }
  /// All labels, in ascending order.
  public var classes: [String] { labels.names }
  /// Number of images that were to be queries, and to which nothing is relevant.
  public let leftOut: Int
  let labels: LabelledRows
  /// `[queries, measures]`.
  let values: [Double]

  /// Ranks rows of `embeddings`, `[labelSets.count, dimension]`, from rows of the same matrix.
  ///
  /// A row is not in the ranking that it gives itself. Distances are those of ``ExactIndex``; at equal distance the lower row is
  /// first. A row is relevant where it has a label in common with the query.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the numbers of rows and labels differ or a rank is
  /// below 1, ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where an element is NaN or infinite, and `CancellationError`.
  ///
  /// - Parameters:
  ///   - labelSets: the labels of each row, any number of them.
  ///   - isQuery: whether a row is a query, one value a row; all are where nil.
  ///   - isRanked: whether a row is among those that are ranked, one value a row; all are where nil.
  ///   - ranks: the k of P@k, R@k and NDCG@k. Those of 1 and 5 are always measured.
  ///   - threads: how many threads to use at most; the result does not depend on it.
  /// - Complexity: O(`queries * rows * (dimension + log(rows))`) time, O(`queries * measures`) memory, and O(`rows`) a thread.
  public init(
    leaveOneOut embeddings: EmbeddingMatrix, labelSets: [[String]], isQuery: [Bool]? = nil, isRanked: [Bool]? = nil,
    metric: Metric = .cosine, ranks: [Int] = EvaluationOptions().ranks, threads: Int = 1
  ) async throws {
    precondition(threads > 0, "an evaluation needs a thread")
    guard labelSets.count == embeddings.rows else {
      throw SimilarityError(
        .invalidArgument, "each image needs a label: found \(labelSets.count) labels for \(embeddings.rows) images")
    }
    for (choice, name) in [(isQuery, "query"), (isRanked, "ranked")] {
      if let choice, choice.count != embeddings.rows {
        throw SimilarityError(
          .invalidArgument,
          "each image is \(name) or not: found \(choice.count) values for \(embeddings.rows) images")
      }
    }
    let ranks = try EvaluationOptions.sorted(ranks)
    labels = LabelledRows(labelSets)
    measures = RetrievalMeasure.all(ranks: ranks)
    let rows = (0..<embeddings.rows).filter { isQuery?[$0] ?? true }
    let search = try LeaveOneOut(embeddings: embeddings, labels: labels, isRanked: isRanked, metric: metric)
    let discounts = DiscountSums(count: labels.rows)
    let scored = try await search.rankings(of: rows, threads: threads) { ranking in
      (
        relevant: ranking.ranks.count, mistaken: ranking.mistaken,
        values: ranking.values(ranks: ranks, ideal: discounts)
      )
    }
    var queries: [Query] = []
    var values: [Double] = []
    values.reserveCapacity(rows.count * measures.count)
    for (row, score) in zip(rows, scored) {
      guard let score else { continue }
      queries.append(Query(row: row, relevant: score.relevant, mistaken: score.mistaken))
      values += score.values
    }
    self.queries = queries
    self.values = values
    leftOut = rows.count - queries.count
  }

  /// A measure of each of ``queries``; empty where it is none of ``measures``.
  ///
  /// - Complexity: O(`queries`)
  public func values(of measure: RetrievalMeasure) -> [Double] {
    guard let column = measures.firstIndex(of: measure) else { return [] }
    return queries.indices.map { values[$0 * measures.count + column] }
  }

  /// The labels of a query, ascending.
  public func labels(of query: Query) -> [String] { classes(of: query).map { classes[Int($0)] } }

  func classes(of query: Query) -> ArraySlice<Int32> { labels.classes(of: query.row) }

  /// The queries of each class, by their numbers.
  func queriesByClass() -> [[Int]] {
    var found = [[Int]](repeating: [], count: classes.count)
    for (number, query) in queries.enumerated() {
      for one in classes(of: query) { found[Int(one)].append(number) }
    }
    return found
  }

  /// The mean of each measure over some queries, by their numbers; 0 where there are none.
  func mean(over chosen: some Collection<Int>) -> [Double] {
    var sums = [Double](repeating: 0, count: measures.count)
    for number in chosen {
      for column in sums.indices { sums[column] += values[number * measures.count + column] }
    }
    return sums.map { $0 / Double(max(1, chosen.count)) }
  }

  /// The mean of each measure over the classes that have queries.
  func macroMean() -> [Double] {
    let means = queriesByClass().filter { !$0.isEmpty }.map { mean(over: $0) }
    return measures.indices.map { column in means.reduce(0) { $0 + $1[column] } / Double(max(1, means.count)) }
  }
}

extension RetrievalMeasure {
  /// In the order of ``RankedQuery/values(ranks:ideal:)``.
  static func all(ranks: [Int]) -> [RetrievalMeasure] {
    ranks.map { .precision(at: $0) } + ranks.map { .recall(at: $0) } + ranks.map { .ndcg(at: $0) }
      + [.averagePrecision, .fullNDCG, .rPrecision, .averagePrecisionAtR, .reciprocalRank]
  }
}

/// The discounts of the first ranks, summed up.
private struct DiscountSums {
  /// `first[n]` is the sum of those of ranks 1 to n.
  private let first: [Double]

  init(count: Int) {
    var sum = 0.0
    first =
      [0]
      + (0..<count).map { rank in
        sum += Self.discount(rank + 1)
        return sum
      }
  }

  static func discount(_ rank: Int) -> Double { 1 / log2(Double(rank + 1)) }

  subscript(count: Int) -> Double { first[count] }
}

extension RankedQuery {
  /// Each of ``RetrievalMeasure/all(ranks:)``.
  fileprivate func values(ranks wanted: [Int], ideal: DiscountSums) -> [Double] {
    let relevant = ranks.count
    // Relevant rows among the first k, and the sums of their discounts.
    var found = [Int](repeating: 0, count: wanted.count)
    var gains = [Double](repeating: 0, count: wanted.count)
    var (gain, precisions, precisionsAtR) = (0.0, 0.0, 0.0)
    var foundAtR = 0
    for (i, rank) in ranks.enumerated() {
      let discount = DiscountSums.discount(rank)
      let precision = Double(i + 1) / Double(rank)
      gain += discount
      precisions += precision
      if rank <= relevant {
        foundAtR += 1
        precisionsAtR += precision
      }
      for (column, k) in wanted.enumerated() where rank <= k {
        found[column] += 1
        gains[column] += discount
      }
    }
    let ratio = { (a: Int, b: Int) in Double(a) / Double(b) }
    var values: [Double] = []
    for (column, k) in wanted.enumerated() { values.append(ratio(found[column], k)) }
    for count in found { values.append(ratio(count, relevant)) }
    for (column, k) in wanted.enumerated() { values.append(gains[column] / ideal[min(k, relevant)]) }
    values.append(precisions / Double(relevant))
    values.append(gain / ideal[relevant])
    values.append(ratio(foundAtR, relevant))
    values.append(precisionsAtR / Double(relevant))
    values.append(1 / Double(ranks[0]))
    return values
  }
}
