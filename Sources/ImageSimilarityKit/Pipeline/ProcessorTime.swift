#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// Time that processors have worked, which waiting does not count in.
package enum ProcessorTime {
  /// Of the calling thread.
  package static var ofThread: Duration { read(CLOCK_THREAD_CPUTIME_ID) }
  /// Of all threads of the process.
  package static var ofProcess: Duration { read(CLOCK_PROCESS_CPUTIME_ID) }

  private static func read(_ clock: clockid_t) -> Duration {
    var time = timespec()
    guard unsafe clock_gettime(clock, &time) == 0 else { return .zero }
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }
}
