internal import ImageSimilarityKit

extension PipelineProfile {
  /// A line a stage: processor seconds, milliseconds a picture, and its part of the whole.
  func table(pictures: Int) -> String {
    let stages = processorSeconds
    let lines = [
      ("read", stages.read), ("decode", stages.decode), ("embed", stages.embed), ("write", stages.write),
      ("other", stages.other),
    ]
    let total = lines.reduce(0) { $0 + $1.1 }
    func line(_ name: String, _ value: Double) -> String {
      let columns = [
        value.formatted(digits: 3), (value * 1000 / Double(max(pictures, 1))).formatted(digits: 3),
        (value * 100 / max(total, 1e-9)).formatted(digits: 1),
      ]
      return name.padded(to: 8) + columns.map { $0.paddedLeft(to: 13) }.joined()
    }
    let head = "stage".padded(to: 8) + ["processor s", "ms/image", "%"].map { $0.paddedLeft(to: 13) }.joined()
    let rate = (Double(pictures) / max(seconds, 1e-9)).formatted(digits: 1)
    let wall = "\(pictures.counted("image")) in \(seconds.formatted(digits: 3)) s: \(rate) images/s"
    return ([head] + lines.map(line) + [line("all", total), wall]).joined(separator: "\n")
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
  func paddedLeft(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
