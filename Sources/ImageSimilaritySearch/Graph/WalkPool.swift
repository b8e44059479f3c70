import Dispatch
import Synchronization

/// Walks that are used again and again, and threads that use them.
final class WalkPool: Sendable {
  private let idle = Mutex<[Walk]>([])

  func with<R, E: Error>(_ body: (Walk) throws(E) -> R) throws(E) -> R {
    let walk = idle.withLock { $0.popLast() } ?? Walk()
    defer { idle.withLock { $0.append(walk) } }
    return try body(walk)
  }

  /// `body` of `0..<count` on up to `threads` threads, in order.
  func map<R: Sendable>(_ count: Int, threads: Int, _ body: @Sendable (Int, Walk) -> R) -> [R] {
    let step = 8
    let workers = min(threads, (count + step - 1) / step)
    if workers <= 1 { return with { walk in (0..<count).map { body($0, walk) } } }
    let next = Atomic(0)
    let parts = Mutex<[(start: Int, results: [R])]>([])
    DispatchQueue.concurrentPerform(iterations: workers) { _ in
      with { walk in
        while true {
          let start = next.add(step, ordering: .relaxed).oldValue
          if start >= count { return }
          let results = (start..<min(start + step, count)).map { body($0, walk) }
          parts.withLock { $0.append((start, results)) }
        }
      }
    }
    return parts.withLock { $0 }.sorted { $0.start < $1.start }.flatMap(\.results)
  }
}
