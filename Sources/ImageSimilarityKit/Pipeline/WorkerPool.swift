internal import Dispatch

/// Threads for work that keeps a core busy for a long time, so that the cooperative pool, which the application's other
/// tasks share, is never blocked by it.
final class WorkerPool: TaskExecutor {
  static let shared = WorkerPool()
  private let queue = DispatchQueue(label: "ImageSimilarityKit.workers", attributes: .concurrent)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
