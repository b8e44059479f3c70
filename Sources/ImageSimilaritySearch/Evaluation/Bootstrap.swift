/// The random numbers of SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014), each of which can be
/// had without those before it.
struct RandomDraws {
  private var state: UInt64

  /// - Parameter start: how many numbers of the seed's sequence to leave out.
  init(seed: UInt64, start: Int) {
    state = seed &+ UInt64(start) &* Self.step
  }

  private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// A number from 0 to `count - 1`: the upper half of the product of `count` and the next 64 bits.
  mutating func next(below count: Int) -> Int {
    state &+= Self.step
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ (z >> 31)).multipliedFullWidth(by: UInt64(count)).high)
  }
}

/// The percentile interval of what was found with drawn samples, interpolated linearly between the two nearest values.
///
/// - Parameter drawn: not empty.
func percentileInterval(_ drawn: [Double], confidence: Double) -> ClosedRange<Double> {
  let sorted = drawn.sorted()
  func percentile(_ part: Double) -> Double {
    let position = part * Double(sorted.count - 1)
    let below = min(Int(position), sorted.count - 1)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (position - Double(below))
  }
  let lower = percentile((1 - confidence) / 2)
  // Rounding may put it a hair lower.
  return lower...max(lower, percentile((1 + confidence) / 2))
}

/// What `body` makes of each number below `count`, in their order, made by several threads.
func inParallel<Result: Sendable>(
  _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) -> Result
) async throws -> [Result] {
  try await withThrowingTaskGroup(of: [(Int, Result)].self) { group in
    let workers = min(threads, count)
    for worker in 0..<workers {
      group.addTask {
        var made: [(Int, Result)] = []
        for i in stride(from: worker, to: count, by: workers) {
          try Task.checkCancellation()
          made.append((i, body(i)))
        }
        return made
      }
    }
    var results = [Result?](repeating: nil, count: count)
    for try await part in group {
      for (i, result) in part { results[i] = result }
    }
    return results.compactMap { $0 }
  }
}
