/// Where the time of a pass over pictures has gone.
public struct PipelineProfile: Sendable, Hashable, Codable {
  /// Processor seconds of all threads, by stage.
  public struct Stages: Sendable, Hashable, Codable {
    /// Opening and reading files; known of ``ImageSimilarityVips/VipsImageDecoder`` alone, other decoders' is in ``decode``.
    public var read = 0.0
    /// Decoding and resizing.
    public var decode = 0.0
    /// The extractor.
    public var embed = 0.0
    /// Storing embeddings and records.
    public var write = 0.0
    /// All else in the process: finding files, preparing the network, passing work on.
    public var other = 0.0
  }

  public var processorSeconds = Stages()
  /// Wall-clock time.
  public var seconds = 0.0

  private enum CodingKeys: String, CodingKey {
    case seconds
    case processorSeconds = "processor_seconds"
  }
}

/// Adds up a ``PipelineProfile``.
struct PipelineMeter {
  /// A worker's processor time for a batch.
  struct Work {
    var read = Duration.zero
    var decode = Duration.zero
    var embed = Duration.zero

    static func += (a: inout Work, b: Work) {
      a.read += b.read
      a.decode += b.decode
      a.embed += b.embed
    }
  }

  private let start = ContinuousClock.now
  private let processStart = ProcessorTime.ofProcess
  private var work = Work()
  private var write = Duration.zero

  mutating func add(_ batch: ImageEmbedder.Batch) { work += batch.work }

  /// Runs `body`, which stores something.
  mutating func writing<E: Error>(_ body: () throws(E) -> Void) throws(E) {
    let before = ProcessorTime.ofThread
    defer { write += ProcessorTime.ofThread - before }
    try body()
  }

  var profile: PipelineProfile {
    var profile = PipelineProfile()
    profile.seconds = start.duration(to: .now) / .seconds(1)
    let other = ProcessorTime.ofProcess - processStart - work.read - work.decode - work.embed - write
    profile.processorSeconds = PipelineProfile.Stages(
      read: work.read / .seconds(1), decode: work.decode / .seconds(1), embed: work.embed / .seconds(1),
      write: write / .seconds(1), other: max(.zero, other) / .seconds(1))
    return profile
  }
}
