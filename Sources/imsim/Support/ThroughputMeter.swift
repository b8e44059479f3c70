internal import Dispatch
internal import ImageSimilarityKit
internal import Synchronization

/// Measures how many pictures a second a network embeds, when nothing else has to be done.
struct ThroughputMeter {
  let extractor: NetworkExtractor
  /// Pictures of the network's input size, taken in turn until a batch is full.
  let pictures: [RGBImage]
  let batch: Int
  let threads: Int
  let seconds: Double

  /// Pictures a second, over parts of the time.
  struct Result {
    /// The median of the parts.
    var imagesPerSecond: Double
    /// The distance between their quartiles, as a fraction of the median.
    var spread: Double
    /// Pictures per second of processor time: what a worker would reach if nobody else used the machine.
    var imagesPerProcessorSecond: Double
  }

  /// What one worker did: the times from the common start to the end of each batch, and its processor time until then.
  private struct Work {
    var ends: [Duration] = []
    var processorTime = Duration.zero
  }

  private static let slices = 10

  /// Runs all workers at the same time, each with a batch and memory of its own.
  func measure() throws -> Result {
    let ready = DispatchGroup()
    let done = DispatchGroup()
    let finished = Mutex<[Swift.Result<Work, SimilarityError>]>([])
    for _ in 0..<threads { ready.enter() }
    for i in 0..<threads {
      // A queue for each: they share no threads.
      DispatchQueue(label: "worker \(i)").async(group: done) {
        let result = Swift.Result { () throws(SimilarityError) in try work(ready) }
        finished.withLock { $0.append(result) }
      }
    }
    done.wait()
    return result(try finished.withLock { $0 }.map { try $0.get() })
  }

  /// Embeds batches until the time is over.
  private func work(_ ready: DispatchGroup) throws(SimilarityError) -> Work {
    var workspace = extractor.makeWorkspace()
    let images = ImageBatch((0..<batch).map { pictures[$0 % pictures.count] })
    var embeddings = [Float](repeating: 0, count: batch * extractor.dimension)
    var span = embeddings.mutableSpan
    do {
      // The first time, memory is touched and code is read. Who fails does not keep the others waiting.
      defer { ready.leave() }
      try extractor.extract(images, using: &workspace, into: &span)
    }
    ready.wait()
    let start = ContinuousClock.now
    let processorStart = ProcessorTime.ofThread
    var work = Work()
    repeat {
      try extractor.extract(images, using: &workspace, into: &span)
      work.ends.append(start.duration(to: .now))
    } while work.ends[work.ends.count - 1] < .seconds(seconds)
    work.processorTime = ProcessorTime.ofThread - processorStart
    return work
  }

  /// A worker's progress between the ends of two batches counts as even, so that parts may be shorter than a batch.
  private func result(_ works: [Work]) -> Result {
    func batches(_ ends: [Double], until time: Double) -> Double {
      let done = ends.firstIndex { $0 > time } ?? ends.count
      guard done < ends.count else { return Double(ends.count) }
      let begin = done == 0 ? 0 : ends[done - 1]
      return Double(done) + (time - begin) / (ends[done] - begin)
    }
    let workers = works.map { $0.ends.map { $0 / .seconds(1) } }
    // All are at work until then.
    let end = workers.compactMap(\.last).min() ?? 0
    let times = (0...Self.slices).map { end * Double($0) / Double(Self.slices) }
    let progress = times.map { time in workers.reduce(0) { $0 + batches($1, until: time) } * Double(batch) }
    let rates = zip(progress, progress.dropFirst()).map { ($1 - $0) * Double(Self.slices) / end }.sorted()
    let median = (rates[Self.slices / 2 - 1] + rates[Self.slices / 2]) / 2
    let processorTime = works.reduce(0) { $0 + $1.processorTime / .seconds(1) }
    return Result(
      imagesPerSecond: median, spread: (rates[Self.slices * 3 / 4] - rates[Self.slices / 4]) / median,
      imagesPerProcessorSecond: works.reduce(0) { $0 + Double($1.ends.count * batch) } / processorTime)
  }
}
