internal import Dispatch
internal import Synchronization

/// Threads for work that keeps a core busy for a long time, so that the cooperative pool, which the application's other
/// tasks share, is never blocked by it.
final class WorkerPool: TaskExecutor {
  /// How many jobs run at the same time; others wait for their turn.
  let width: Int
  private let queue = DispatchQueue(label: "ImageSimilarityKit.workers", attributes: .concurrent)
  private let state = Mutex(State())

  private struct State {
    var running = 0
    var waiting: [UnownedJob] = []
  }

  init(width: Int) { self.width = width }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let starts = state.withLock { state in
      if state.running == width {
        state.waiting.append(job)
        return false
      }
      state.running += 1
      return true
    }
    if starts { queue.async { self.run(job) } }
  }

  /// Runs a job, and then those that wait, in their order, without giving the thread back.
  private func run(_ first: UnownedJob) {
    var job: UnownedJob? = first
    while let current = job {
      unsafe current.runSynchronously(on: asUnownedTaskExecutor())
      job = state.withLock { state in
        if state.waiting.isEmpty {
          state.running -= 1
          return nil
        }
        return state.waiting.removeFirst()
      }
    }
  }
}
