internal import ImageSimilarityKit

/// Measures how long a search takes, when nothing else has to be done.
struct SearchMeter {
  /// How many queries there are.
  let queries: Int
  /// How many of them one call searches.
  let batch: Int
  /// How often all of them are searched.
  let repeats: Int

  struct Result {
    /// The hits of each query.
    var hits: [[Neighbor]]
    /// All queries, one call after the other: the median over the repeats.
    var seconds: Double
    /// One call: the median over all calls of all repeats.
    var batchSeconds: Double
    /// The processor time of a call, of all threads: as ``batchSeconds``, without the work of others on the machine.
    var batchProcessorSeconds: Double
  }

  /// Times `search`, which returns the hits of the queries in a range.
  func measure(_ search: (Range<Int>) async throws -> [[Neighbor]]) async throws -> Result {
    var hits: [[Neighbor]] = []
    var passes: [Double] = []
    var calls: [Double] = []
    var processorTimes: [Double] = []
    for _ in 0..<repeats {
      hits.removeAll(keepingCapacity: true)
      var pass = 0.0
      for begin in stride(from: 0, to: queries, by: batch) {
        let start = ContinuousClock.now
        let processorStart = ProcessorTime.ofProcess
        let found = try await search(begin..<min(begin + batch, queries))
        let seconds = start.duration(to: .now) / .seconds(1)
        processorTimes.append((ProcessorTime.ofProcess - processorStart) / .seconds(1))
        pass += seconds
        calls.append(seconds)
        hits += found
      }
      passes.append(pass)
    }
    return Result(
      hits: hits, seconds: median(passes), batchSeconds: median(calls), batchProcessorSeconds: median(processorTimes))
  }
}

/// - Precondition: there is a value.
private func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}
