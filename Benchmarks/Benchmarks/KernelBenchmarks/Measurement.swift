import Benchmark

/// What a kernel does in one run, and so what its speed is counted in.
enum Work {
  /// Multiplications and additions, two for each tap.
  case operations(Int)
  /// Bytes that are read and written at least.
  case bytes(Int)

  // Custom metrics are whole numbers: the units are such that three digits remain.
  private static let gigaOperations = BenchmarkMetric.custom("GOP/s", polarity: .prefersLarger, useScalingFactor: false)
  private static let megabytes = BenchmarkMetric.custom("MB/s", polarity: .prefersLarger, useScalingFactor: false)

  var metric: BenchmarkMetric {
    switch self {
    case .operations: Self.gigaOperations
    case .bytes: Self.megabytes
    }
  }

  func speed(_ duration: Duration) -> Int {
    switch self {
    case .operations(let count): Int((Double(count) / (duration / .nanoseconds(1))).rounded())
    case .bytes(let count): Int((Double(count) / (duration / .microseconds(1))).rounded())
    }
  }
}

/// Measures what `prepare` returns, on one thread, with warm caches: the first run of each iteration does not count.
func measure(_ name: String, _ work: Work, prepare: @escaping () -> () -> Void) {
  Benchmark(name, configuration: .init(metrics: [.wallClock, work.metric], units: [work.metric: .count])) {
    benchmark, run in
    run()
    benchmark.startMeasurement()
    let start = ContinuousClock.now
    run()
    let duration = start.duration(to: .now)
    benchmark.stopMeasurement()
    benchmark.measurement(work.metric, work.speed(duration))
  } setup: {
    prepare()
  }
}
