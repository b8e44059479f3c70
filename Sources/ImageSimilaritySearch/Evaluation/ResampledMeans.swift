/// The means of all measures over queries drawn with replacement, as many as there are; the draws depend on the seed and the number of
/// queries alone, so that those of two models with the same queries are paired.
struct ResampledMeans: Sendable {
  /// Resamples that one task makes at a time.
  private static let perTask = 25

  /// Over the drawn queries, `[resamples, measures]`.
  let micro: [Double]
  /// Over the classes of the drawn queries, `[resamples, measures]`.
  let macro: [Double]
  private let options: EvaluationOptions

  init(_ scores: RetrievalScores, _ options: EvaluationOptions, threads: Int) async throws {
    try options.validate()
    self.options = options
    // An interval says something from two queries on.
    guard scores.queries.count > 1, options.resamples > 0 else {
      micro = []
      macro = []
      return
    }
    let width = scores.measures.count
    let classes = scores.queries.map(scores.classes(of:))
    let tasks = (options.resamples + Self.perTask - 1) / Self.perTask
    let parts = try await inParallel(tasks, threads: threads) { task in
      let resamples = task * Self.perTask..<min((task + 1) * Self.perTask, options.resamples)
      var micro = [Double](repeating: 0, count: resamples.count * width)
      var macro = micro
      var sums = ClassSums(classes: scores.classes.count, width: width)
      for (place, resample) in resamples.enumerated() {
        let times = Self.draw(scores.queries.count, resample: resample, seed: options.seed)
        sums.reset()
        for (query, times) in times.enumerated() where times > 0 {
          let values = scores.values.span.extracting(query * width..<(query + 1) * width)
          for column in 0..<width { micro[place * width + column] += Double(times) * values[column] }
          for one in classes[query] { sums.add(values, times: times, to: Int(one)) }
        }
        for column in 0..<width { micro[place * width + column] /= Double(scores.queries.count) }
        sums.mean(into: &macro, at: place * width)
      }
      return (micro, macro)
    }
    micro = parts.flatMap(\.0)
    macro = parts.flatMap(\.1)
  }

  /// How many times each of `count` queries is drawn.
  private static func draw(_ count: Int, resample: Int, seed: UInt64) -> [Int] {
    var random = RandomDraws(seed: seed, start: resample * count)
    var times = [Int](repeating: 0, count: count)
    for _ in 0..<count { times[random.next(below: count)] += 1 }
    return times
  }

  /// - Parameter drawn: ``micro`` or ``macro``.
  func estimates(
    _ measures: [RetrievalMeasure], means: [Double], _ drawn: [Double]
  ) -> [RetrievalMeasure: MeasureEstimate] {
    var estimates: [RetrievalMeasure: MeasureEstimate] = [:]
    for (column, measure) in measures.enumerated() {
      estimates[measure] = MeasureEstimate(
        value: means[column], interval: interval(self.column(column, of: drawn, width: measures.count)))
    }
    return estimates
  }

  /// - Parameter drawn: ``micro`` or ``macro``, and that of the model that it is compared with.
  func difference(
    _ means: (Double, Double), at column: Int, of width: Int, _ drawn: ([Double], [Double])
  ) -> MeasureDifference {
    let differences = zip(
      self.column(column, of: drawn.0, width: width), self.column(column, of: drawn.1, width: width)
    ).map { $0 - $1 }
    let value = means.0 - means.1
    // Sums of the same numbers in another order differ by less.
    let rounding = 1e-12
    let opposite =
      abs(value) <= rounding ? differences.count : differences.count { ($0 < 0) != (value < 0) || abs($0) <= rounding }
    let pValue = min(1, 2 * Double(1 + opposite) / Double(1 + differences.count))
    return MeasureDifference(
      value: value, interval: interval(differences), pValue: differences.isEmpty ? nil : pValue)
  }

  private func column(_ column: Int, of drawn: [Double], width: Int) -> [Double] {
    stride(from: column, to: drawn.count, by: width).map { drawn[$0] }
  }

  private func interval(_ drawn: [Double]) -> ClosedRange<Double>? {
    drawn.isEmpty ? nil : percentileInterval(drawn, confidence: options.confidence)
  }
}

/// The sums of all measures over the drawn queries of each class.
private struct ClassSums {
  private let width: Int
  private var sums: [Double]
  private var counts: [Int]

  init(classes: Int, width: Int) {
    self.width = width
    sums = [Double](repeating: 0, count: classes * width)
    counts = [Int](repeating: 0, count: classes)
  }

  mutating func reset() {
    for i in sums.indices { sums[i] = 0 }
    for i in counts.indices { counts[i] = 0 }
  }

  mutating func add(_ values: Span<Double>, times: Int, to number: Int) {
    counts[number] += times
    for column in 0..<width { sums[number * width + column] += Double(times) * values[column] }
  }

  /// The mean over the classes that were drawn.
  func mean(into means: inout [Double], at place: Int) {
    var drawn = 0
    for (number, count) in counts.enumerated() where count > 0 {
      drawn += 1
      for column in 0..<width { means[place + column] += sums[number * width + column] / Double(count) }
    }
    for column in 0..<width { means[place + column] /= Double(max(1, drawn)) }
  }
}
