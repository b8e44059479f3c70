internal import Dispatch
internal import Synchronization

/// The wish to stop, which a thread that blocks looks at.
final class Interruption: Sendable {
  private let wanted = Atomic(false)
  private let signal = DispatchSemaphore(value: 0)

  var isWanted: Bool { wanted.load(ordering: .relaxed) }

  func request() {
    wanted.store(true, ordering: .relaxed)
    signal.signal()
  }

  /// Waits, unless it is interrupted.
  func sleep(_ duration: Duration) {
    if isWanted { return }
    _ = signal.wait(timeout: .now() + .milliseconds(Int(duration / .milliseconds(1))))
  }
}
