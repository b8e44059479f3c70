/// Does `count` pieces of work, a range at a time on several threads, and calls `receive` with what comes of each range, in
/// any order, on the caller's task.
///
/// - Throws: `CancellationError` soon after the task is cancelled.
func parallelPass<R: Sendable>(
  count: Int, rangeLength: Int, pool: WorkerPool, _ work: @escaping @Sendable (Range<Int>) throws -> R,
  _ receive: (Range<Int>, R) throws -> Void
) async throws {
  try await withThrowingTaskGroup(of: (Range<Int>, R).self) { group in
    var next = 0
    var running = 0
    while next < count || running > 0 {
      while next < count, running < 2 * pool.width {
        try Task.checkCancellation()
        let range = next..<min(next + rangeLength, count)
        group.addTask(executorPreference: pool) { (range, try work(range)) }
        next = range.upperBound
        running += 1
      }
      guard let (range, result) = try await group.next() else { return }
      running -= 1
      try receive(range, result)
    }
  }
}
