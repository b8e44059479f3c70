internal import ImageSimilarityCore
internal import ImageSimilaritySearch
internal import ImageSimilarityVips
internal import Synchronization

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What one worker keeps from picture to picture: pixels, the extractor's workspace, and embeddings.
protocol ImageWorker: AnyObject {
  /// Embeds up to a batch of pictures; those that cannot be read are listed.
  func embed(_ elements: [ImageCollection.Element]) throws(SimilarityError) -> ImageEmbedder.Batch
  func embed(_ source: ImageSource) throws(SimilarityError) -> [Float]
}

/// The workers that are idle. There are never more than were busy at the same time.
final class WorkerStack: Sendable {
  /// `@unchecked Sendable`: a worker is either in the stack, or with the one task that took it.
  private struct Idle: @unchecked Sendable {
    let worker: any ImageWorker
  }

  private let idle = Mutex<[Idle]>([])
  private let makeWorker: @Sendable () -> any ImageWorker

  init(decoder: any ImageDecoder, extractor: any FeatureExtractor, batchSize: Int) {
    makeWorker = { Self.worker(decoder, extractor, batchSize) }
  }

  func withWorker<R>(_ body: (any ImageWorker) throws(SimilarityError) -> R) throws(SimilarityError) -> R {
    let taken = idle.withLock { $0.popLast() } ?? Idle(worker: makeWorker())
    defer { idle.withLock { $0.append(taken) } }
    return try body(taken.worker)
  }

  private static func worker<E: FeatureExtractor>(
    _ decoder: any ImageDecoder, _ extractor: E, _ batchSize: Int
  ) -> any ImageWorker {
    ExtractionWorker(decoder: decoder, extractor: extractor, batchSize: batchSize)
  }
}

private final class ExtractionWorker<E: FeatureExtractor>: ImageWorker {
  private let decoder: any ImageDecoder
  private let extractor: E
  private var workspace: E.Workspace
  private var pixels: ImageBatch
  private var embeddings: [Float]

  init(decoder: any ImageDecoder, extractor: E, batchSize: Int) {
    self.decoder = decoder
    self.extractor = extractor
    workspace = extractor.makeWorkspace()
    pixels = ImageBatch(capacity: batchSize, size: extractor.specification.input.size)
    embeddings = [Float](repeating: 0, count: batchSize * extractor.dimension)
  }

  func embed(_ elements: [ImageCollection.Element]) throws(SimilarityError) -> ImageEmbedder.Batch {
    pixels.removeAll()
    var work = PipelineMeter.Work()
    let (start, readStart) = (ProcessorTime.ofThread, VipsImageDecoder.threadReadTime)
    var items: [ImageItem] = []
    var skipped: [SkippedImage] = []
    for element in elements {
      switch element {
      case .unusable(let image):
        skipped.append(image)
      case .picture(let item):
        do throws(SimilarityError) {
          try decode(item.source)
          items.append(item)
        } catch {
          skipped.append(SkippedImage(item, error))
        }
      }
    }
    let decoded = ProcessorTime.ofThread
    work.read = VipsImageDecoder.threadReadTime - readStart
    work.decode = decoded - start - work.read
    let embeddings = items.isEmpty ? nil : try extract()
    work.embed = ProcessorTime.ofThread - decoded
    return ImageEmbedder.Batch(items: items, embeddings: embeddings, skipped: skipped, work: work)
  }

  func embed(_ source: ImageSource) throws(SimilarityError) -> [Float] {
    pixels.removeAll()
    try decode(source)
    return try extract()[0]
  }

  private func decode(_ source: ImageSource) throws(SimilarityError) {
    let geometry = extractor.specification.input
    try pixels.append { slot throws(SimilarityError) in
      try decoder.decode(source, as: geometry, into: &slot)
    }
  }

  private func extract() throws(SimilarityError) -> EmbeddingMatrix {
    let count = pixels.count * extractor.dimension
    var all = embeddings.mutableSpan
    var span = all._mutatingExtracting(0..<count)
    try extractor.extract(pixels, using: &workspace, into: &span)
    let matrix = EmbeddingMatrix(
      rows: pixels.count, dimension: extractor.dimension, values: Array(embeddings[..<count]))
    if let row = matrix.firstNonFiniteRow() {
      throw SimilarityError(
        .notFinite,
        "\(extractor.specification.fingerprint.architecture) gave an embedding that is not finite for picture \(row) of a "
          + "batch; the weights or the extractor are broken")
    }
    return matrix
  }
}

extension SkippedImage {
  init(_ item: ImageItem, _ error: SimilarityError) {
    var path: String?
    if case .file(let url) = item.source { path = url.path }
    self.init(id: item.id, path: path, code: error.code.rawValue, reason: error.message)
  }
}
