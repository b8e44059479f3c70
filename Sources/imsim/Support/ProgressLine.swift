internal import ImageSimilarityKit
internal import Synchronization

/// One line on a terminal that says how far a long job is, how fast it goes and when it will be done. Silent when standard
/// error is not a terminal.
final class ProgressLine: Sendable {
  private struct State {
    var width = 0
    var lastShown: ContinuousClock.Instant?
  }

  private let start = ContinuousClock.now
  private let state = Mutex(State())

  func show(_ progress: IndexingProgress) { show { Self.text(progress, seconds: $0) } }

  /// Shows what `text` says, which is told the seconds since the beginning.
  func show(_ text: (_ seconds: Double) -> String) {
    guard Terminal.standardError.isInteractive else { return }
    state.withLock { state in
      let now = ContinuousClock.now
      if let last = state.lastShown, last.duration(to: now) < .milliseconds(100) { return }
      state.lastShown = now
      let text = text(start.duration(to: now) / .seconds(1))
      Terminal.standardError.write("\r" + text + String(repeating: " ", count: max(0, state.width - text.count)))
      state.width = text.count
    }
  }

  /// Removes the line.
  func clear() {
    state.withLock { state in
      if state.width > 0 { Terminal.standardError.write("\r" + String(repeating: " ", count: state.width) + "\r") }
      state.width = 0
    }
  }

  static func text(_ progress: IndexingProgress, seconds: Double) -> String {
    var parts = [progress.total.map { "\(progress.done) of \($0)" } ?? "\(progress.done)"]
    // Pictures that have not changed cost no time to speak of.
    let worked = progress.indexed + progress.skipped
    if worked > 0, seconds > 0 {
      let rate = Double(worked) / seconds
      parts.append("\(rate.formatted(digits: 1)) images/s")
      if let total = progress.total {
        parts.append("\(Self.time(Double(total - progress.done) / rate)) left")
      }
    }
    if progress.skipped > 0 { parts.append("\(progress.skipped) skipped") }
    return parts.joined(separator: "  ")
  }

  private static func time(_ seconds: Double) -> String {
    let seconds = Int(seconds.rounded(.up))
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
    let two = { (n: Int) in n < 10 ? "0\(n)" : "\(n)" }
    return hours > 0 ? "\(hours):\(two(minutes)):\(two(seconds % 60))" : "\(minutes):\(two(seconds % 60))"
  }
}
