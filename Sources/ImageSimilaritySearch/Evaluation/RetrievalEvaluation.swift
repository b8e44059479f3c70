public import ImageSimilarityCore

/// How well embeddings find images with a label of theirs, leaving one out: each query in turn ranks all other images by their
/// distance from it, at equal distance the lower row first.
///
/// Distances are those of ``ExactIndex``. An image is relevant to a query where the two have a label in common. A query to which
/// nothing is relevant can find nothing; it is left out of the means, and stays among the others for the rest.
///
/// The confidence intervals are those of the bootstrap over the queries, by the percentile method (Efron and Tibshirani, An
/// Introduction to the Bootstrap, chapter 13): as many queries as there are, drawn with replacement, again and again. They say how
/// much the means depend on which queries there happen to be, the other images being what they are.
public struct RetrievalEvaluation: Sendable, Hashable, Codable {
  /// ``RetrievalMeasure/precision(at:)`` 1: the part of the queries whose nearest other image is relevant.
  public var precisionAt1: Double
  /// ``RetrievalMeasure/precision(at:)`` 5, averaged over the queries.
  public var precisionAt5: Double
  /// ``RetrievalMeasure/averagePrecision``, averaged over the queries.
  public var meanAveragePrecision: Double
  /// Number of images.
  public var images: Int
  /// Number of labels.
  public var classes: Int
  /// Number of images that were to be queries and are not, because nothing is relevant to them.
  public var leftOut: Int
  /// Number of queries that the means are over. Where it is 0, the means are.
  public var queries: Int
  /// What was measured, in the order in which to show it.
  public var measures: [RetrievalMeasure]
  /// The means over all queries (micro).
  public var overall: [RetrievalMeasure: MeasureEstimate]
  /// The means over the classes that have queries, of the means over each one's queries (macro): classes with few images
  /// count as much as those with many.
  public var macro: [RetrievalMeasure: MeasureEstimate]
  /// All classes, in ascending order of their labels.
  public var perClass: [ClassEvaluation]
  /// The confidence of the intervals.
  public var confidence: Double
  /// How many times the queries were drawn for the intervals.
  public var resamples: Int

  private enum CodingKeys: String, CodingKey {
    case precisionAt1 = "precision_at_1"
    case precisionAt5 = "precision_at_5"
    case meanAveragePrecision = "mean_average_precision"
    case images, classes, queries, measures, overall, macro, confidence, resamples
    case leftOut = "left_out"
    case perClass = "per_class"
  }

  /// The classes that have queries, those with the lowest mean average precision first; at equal precision in ascending order of
  /// their labels.
  public var worstClasses: [ClassEvaluation] {
    let precision = { (found: ClassEvaluation) in found.measures[.averagePrecision]?.value ?? 0 }
    return perClass.filter { $0.queries > 0 }.sorted { (precision($0), $0.label) < (precision($1), $1.label) }
  }

  /// Evaluates the rows of `embeddings`, `[labels.count, dimension]`.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the numbers of rows and labels differ,
  /// ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where an element is NaN or infinite, and `CancellationError`.
  ///
  /// - Parameter threads: how many threads to use at most; the result does not depend on it.
  /// - Complexity: O(`rows^2 * dimension`) time, O(`threads * rows`) memory.
  public init(
    leaveOneOut embeddings: EmbeddingMatrix, labels: [String], metric: Metric = .cosine, threads: Int = 1
  ) async throws {
    precondition(threads > 0, "an evaluation needs a thread")
    guard labels.count == embeddings.rows else {
      throw SimilarityError(
        .invalidArgument, "each image needs a label: found \(labels.count) labels for \(embeddings.rows) images")
    }
    let norms = embeddings.squaredNorms()
    if let row = norms.firstIndex(where: { !$0.isFinite }) {
      throw SimilarityError(.notFinite, "the embedding in row \(row) has an element that is NaN or infinite")
    }
    let ranking = Ranking(embeddings: embeddings, squaredNorms: norms, labels: labels, metric: metric)
    let scores = try await ranking.scores(threads: threads)
    // Summed in the order of the rows, whichever thread was first.
    let queries = scores.compactMap { $0 }
    let divisor = Double(max(1, queries.count))
    precisionAt1 = queries.reduce(0) { $0 + $1.precisionAt1 } / divisor
    precisionAt5 = queries.reduce(0) { $0 + $1.precisionAt5 } / divisor
    meanAveragePrecision = queries.reduce(0) { $0 + $1.averagePrecision } / divisor
    images = labels.count
    classes = ranking.members.count
    leftOut = labels.count - queries.count
  }
}

/// What one query gave.
private struct QueryScore {
  var precisionAt1: Double
  var precisionAt5: Double
  var averagePrecision: Double
}

/// All rows ranked from each row.
private struct Ranking {
  private static let queriesPerTile = 16
  /// Rows that stay in the cache while all queries of a tile are compared with them.
  private static let rowsPerStep = 64

  let embeddings: EmbeddingMatrix
  let squaredNorms: [Double]
  let metric: Metric
  /// The rows of each class, ascending.
  let members: [[Int]]
  /// The class of each row.
  let classOfRow: [Int]

  init(embeddings: EmbeddingMatrix, squaredNorms: [Double], labels: [String], metric: Metric) {
    self.embeddings = embeddings
    self.squaredNorms = squaredNorms
    self.metric = metric
    var classes: [String: Int] = [:]
    var members: [[Int]] = []
    classOfRow = labels.enumerated().map { row, label in
      if let known = classes[label] {
        members[known].append(row)
        return known
      }
      classes[label] = members.count
      members.append([row])
      return members.count - 1
    }
    self.members = members
  }

  /// Nil for rows that are alone in their class.
  func scores(threads: Int) async throws -> [QueryScore?] {
    let tiles = stride(from: 0, to: embeddings.rows, by: Self.queriesPerTile).map {
      $0..<min($0 + Self.queriesPerTile, embeddings.rows)
    }
    return try await withThrowingTaskGroup(of: [(Int, QueryScore?)].self) { group in
      let workers = min(threads, tiles.count)
      for worker in 0..<workers {
        group.addTask {
          var distances = [[Float]](
            repeating: [Float](repeating: 0, count: embeddings.rows), count: Self.queriesPerTile)
          var found: [(Int, QueryScore?)] = []
          for tile in stride(from: worker, to: tiles.count, by: workers).map({ tiles[$0] }) {
            try Task.checkCancellation()
            measure(tile, into: &distances)
            for (i, query) in tile.enumerated() { found.append((query, score(query, distances: distances[i]))) }
          }
          return found
        }
      }
      var scores = [QueryScore?](repeating: nil, count: embeddings.rows)
      for try await part in group {
        for (query, score) in part { scores[query] = score }
      }
      return scores
    }
  }

  /// The distances from each query of a tile to all rows.
  private func measure(_ tile: Range<Int>, into distances: inout [[Float]]) {
    var work = [Double](repeating: 0, count: Self.rowsPerStep)
    var step = [Float](repeating: 0, count: Self.rowsPerStep)
    for start in stride(from: 0, to: embeddings.rows, by: Self.rowsPerStep) {
      let rows = start..<min(start + Self.rowsPerStep, embeddings.rows)
      for (i, query) in tile.enumerated() {
        embeddings.distances(
          ofRows: rows, squaredNorms: squaredNorms, to: query, of: embeddings, squaredNorm: squaredNorms[query],
          metric: metric, work: &work, into: &step)
        for j in 0..<rows.count { distances[i][start + j] = step[j] }
      }
    }
  }

  /// Ranks follow from counting, for each row of another class, the rows of the query's class that come after it; nothing but
  /// these is sorted.
  private func score(_ query: Int, distances: [Float]) -> QueryScore? {
    let own = classOfRow[query]
    let relevant = members[own].filter { $0 != query }.sorted { (distances[$0], $0) < (distances[$1], $1) }
    if relevant.isEmpty { return nil }
    let relevantDistances = relevant.map { distances[$0] }
    // others[i]: rows of other classes between the relevant rows i - 1 and i.
    var others = [Int](repeating: 0, count: relevant.count + 1)
    for row in distances.indices where classOfRow[row] != own {
      var position = lowerBound(relevantDistances, distances[row])
      while position < relevant.count, relevantDistances[position] == distances[row], relevant[position] < row {
        position += 1
      }
      others[position] += 1
    }
    var score = QueryScore(precisionAt1: 0, precisionAt5: 0, averagePrecision: 0)
    var before = 0
    for i in relevant.indices {
      before += others[i]
      let rank = before + i + 1
      if rank == 1 { score.precisionAt1 = 1 }
      if rank <= 5 { score.precisionAt5 += 1 / 5 }
      score.averagePrecision += Double(i + 1) / Double(rank)
    }
    score.averagePrecision /= Double(relevant.count)
    return score
  }

  /// The first index whose value is not below `value`, in a non-empty array. Half of the comparisons go either way, so none
  /// of them decides a jump.
  private func lowerBound(_ sorted: [Float], _ value: Float) -> Int {
    var first = 0
    var count = sorted.count
    while count > 1 {
      let half = count / 2
      first += sorted[first + half - 1] < value ? half : 0
      count -= half
    }
    return first + (sorted[first] < value ? 1 : 0)
  }
}
