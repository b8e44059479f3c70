/// How well the images of one class are found.
public struct ClassEvaluation: Sendable, Hashable, Codable {
  public var label: String
  /// Images that have the label.
  public var images: Int
  /// Queries that have the label.
  public var queries: Int
  /// The means over these queries; empty where there are none.
  public var measures: [RetrievalMeasure: MeasureEstimate]
  /// The places of ``confusions``: the first `min(10, R)` ranks of each of these queries, R being how many images are relevant
  /// to it. A perfect ranking has only relevant images there.
  public var firstRanks: Int
  /// The other classes that take the most of these places, at most five, the worst first.
  public var confusions: [ClassConfusion]

  private enum CodingKeys: String, CodingKey {
    case label, images, queries, measures, confusions
    case firstRanks = "first_ranks"
  }
}

/// How often a class stands where another should.
public struct ClassConfusion: Sendable, Hashable, Codable {
  /// The class that is there instead.
  public var label: String
  /// How many places its images take, of ``ClassEvaluation/firstRanks``. An image of several labels counts for each.
  public var count: Int
}

extension ClassEvaluation {
  /// All classes; the intervals of one are over its own queries, drawn with replacement.
  static func all(
    _ scores: RetrievalScores, _ options: EvaluationOptions, threads: Int
  ) async throws -> [ClassEvaluation] {
    let queries = scores.queriesByClass()
    // The random numbers of a class come after those of the classes before it, which come after those of all queries.
    var drawn = options.resamples * scores.queries.count
    var starts: [Int] = []
    for own in queries {
      starts.append(drawn)
      drawn += options.resamples * own.count
    }
    let randomStarts = starts
    return try await inParallel(queries.count, threads: threads) { number in
      ClassEvaluation(scores, options, number, queries: queries[number], randomStart: randomStarts[number])
    }
  }

  private init(
    _ scores: RetrievalScores, _ options: EvaluationOptions, _ number: Int, queries own: [Int], randomStart: Int
  ) {
    label = scores.classes[number]
    images = scores.labels.members[number].count
    queries = own.count
    measures = [:]
    let width = scores.measures.count
    let means = scores.mean(over: own)
    var drawn = [[Double]](repeating: [], count: width)
    if own.count > 1 {
      var random = RandomDraws(seed: options.seed, start: randomStart)
      for _ in 0..<options.resamples {
        let resample = scores.mean(over: own.map { _ in own[random.next(below: own.count)] })
        for column in 0..<width { drawn[column].append(resample[column]) }
      }
    }
    if !own.isEmpty {
      for (column, measure) in scores.measures.enumerated() {
        let interval =
          drawn[column].isEmpty ? nil : percentileInterval(drawn[column], confidence: options.confidence)
        measures[measure] = MeasureEstimate(value: means[column], interval: interval)
      }
    }
    firstRanks = own.reduce(0) { $0 + min(UnfinishedRanking.firstRanks, scores.queries[$1].relevant) }
    var counts: [Int32: Int] = [:]
    for query in own {
      for row in scores.queries[query].mistaken {
        for other in scores.labels.classes(of: row) { counts[other, default: 0] += 1 }
      }
    }
    let worst = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5)
    confusions = worst.map { ClassConfusion(label: scores.classes[Int($0.key)], count: $0.value) }
  }
}
