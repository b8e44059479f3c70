public import ImageSimilarityCore
public import ImageSimilaritySearch

/// The pipeline from pictures to embeddings: decodes and embeds a collection on several workers.
///
/// Each worker takes a few pictures at a time through both stages: the pixels are still in its cache when the network reads
/// them, and there is no queue between the stages. Results come in the order of the collection. Memory does not grow with
/// the collection: at most a few batches per worker are on their way.
public struct ImageEmbedder: Sendable {
  public let decoder: any ImageDecoder
  public let extractor: any FeatureExtractor
  /// How many pictures are worked on at the same time.
  public let threads: Int
  private let workers: WorkerStack
  private let pool: WorkerPool

  /// Pictures that a worker takes at a time: enough that it seldom changes between the stages, whose code and data evict one
  /// another from the cache. Towards the end of a collection it takes fewer, so that all workers finish together.
  static let batchSize = 16

  /// - Parameter threads: All processors where nil.
  /// - Precondition: `threads` is at least 1.
  public init(decoder: any ImageDecoder, extractor: any FeatureExtractor, threads: Int? = nil) {
    self.decoder = decoder
    self.extractor = extractor
    self.threads = threads ?? ProcessSettings.processorCount
    precondition(self.threads >= 1, "an embedder needs at least one thread")
    workers = WorkerStack(decoder: decoder, extractor: extractor, batchSize: Self.batchSize)
    pool = WorkerPool(width: self.threads)
  }

  /// Some pictures of a collection, neighbours in its order.
  public struct Batch: Sendable {
    /// The pictures that were embedded.
    public var items: [ImageItem]
    /// Their embeddings, one row each; nil where there are none.
    public var embeddings: EmbeddingMatrix?
    /// The pictures that could not be read.
    public var skipped: [SkippedImage]
    var work = PipelineMeter.Work()
  }

  /// Embeds a collection, and calls `body` with the results in the collection's order, on the caller's task.
  ///
  /// A picture that cannot be read is listed in its batch and stops nothing. An error of the collection, the extractor or
  /// `body` ends the pass, and so does cancellation; what `body` has seen by then is complete and in order.
  public func embed(_ collection: ImageCollection, _ body: (Batch) async throws -> Void) async throws {
    let pass = try collection.makePass()
    try await embed(next: pass.next, count: pass.count, body)
  }

  /// The embedding of one picture.
  public func embed(_ source: ImageSource) async throws -> [Float] {
    let workers = workers
    return try await withTaskExecutorPreference(pool) {
      try workers.withWorker { worker throws(SimilarityError) in try worker.embed(source) }
    }
  }

  /// - Parameter count: How many elements there will be, at most; nil where nobody knows.
  func embed(
    next: () async throws -> ImageCollection.Element?, count: Int?, _ body: (Batch) async throws -> Void
  ) async throws {
    let workers = workers
    try await withThrowingTaskGroup(of: (Int, Batch).self) { group in
      var submitted = 0
      var delivered = 0
      var finished: [Int: Batch] = [:]
      var isAtEnd = false
      var remaining = count

      while true {
        // Two batches a worker: one in work, one waiting. A slow picture may hold back that many more, finished, behind it.
        while !isAtEnd, submitted - delivered < 4 * threads, submitted - delivered - finished.count < 2 * threads {
          try Task.checkCancellation()
          let share = remaining.map { max(1, $0 / (2 * threads)) } ?? Self.batchSize
          let wanted = min(share, Self.batchSize)
          let elements = try await Self.take(wanted, from: next)
          isAtEnd = elements.count < wanted
          remaining? -= elements.count
          if elements.isEmpty { break }
          let number = submitted
          group.addTask(executorPreference: pool) {
            let batch = try workers.withWorker { worker throws(SimilarityError) in try worker.embed(elements) }
            return (number, batch)
          }
          submitted += 1
        }
        guard let (number, batch) = try await group.next() else { return }
        finished[number] = batch
        while let batch = finished.removeValue(forKey: delivered) {
          try await body(batch)
          delivered += 1
        }
      }
    }
  }

  private static func take(
    _ count: Int, from next: () async throws -> ImageCollection.Element?
  ) async throws -> [ImageCollection.Element] {
    var elements: [ImageCollection.Element] = []
    while elements.count < count, let element = try await next() { elements.append(element) }
    return elements
  }
}
