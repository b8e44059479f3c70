internal import ImageSimilarityCore
internal import ImageSimilarityFiles
internal import ImageSimilarityNN
internal import Synchronization

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A model's embedder, made when the first picture needs it: removing and listing need no network.
final class LazyEmbedder: Sendable {
  private let specification: ExtractorSpecification
  private let makeExtractor: (@Sendable (ExtractorSpecification) throws(SimilarityError) -> (any FeatureExtractor)?)?
  let decoder: any ImageDecoder
  private let threads: Int?
  private let model: URL
  private let made: Mutex<ImageEmbedder?>

  init(
    specification: ExtractorSpecification, extractor: (any FeatureExtractor)?,
    makeExtractor: (@Sendable (ExtractorSpecification) throws(SimilarityError) -> (any FeatureExtractor)?)?,
    decoder: any ImageDecoder, threads: Int?, model: URL
  ) {
    self.specification = specification
    self.makeExtractor = makeExtractor
    self.decoder = decoder
    self.threads = threads
    self.model = model
    made = Mutex(extractor.map { ImageEmbedder(decoder: decoder, extractor: $0, threads: threads) })
  }

  func get() throws(SimilarityError) -> ImageEmbedder {
    try made.withLock { made throws(SimilarityError) in
      if let made { return made }
      let extractor: any FeatureExtractor
      if let foreign = try makeExtractor?(specification) {
        try specification.requireCompatible(foreign.specification, model: model)
        extractor = foreign
      } else {
        extractor = try NetworkExtractor(reopening: specification, model: model)
      }
      let embedder = ImageEmbedder(decoder: decoder, extractor: extractor, threads: threads)
      made = embedder
      return embedder
    }
  }
}

extension NetworkExtractor {
  /// The extractor that made a model, from the bundled weights or the file that it was made from.
  init(reopening specification: ExtractorSpecification, model: URL) throws(SimilarityError) {
    let fingerprint = specification.fingerprint
    guard !specification.isImported else {
      throw SimilarityError(
        .fingerprintMismatch,
        "\(model.path) holds imported embeddings (\(fingerprint.architecture), \(fingerprint.dimension)-d), and what made them "
          + "is not known here, so no picture can be embedded for it: search it by id or by vector")
    }
    guard
      let backbone = Backbones.all.first(where: { $0.name == fingerprint.architecture }),
      let layer = EmbeddingLayer(rawValue: fingerprint.layer),
      let preprocessing = Preprocessing(rawValue: fingerprint.preprocessing),
      let precision = Precision(fingerprint: fingerprint.precision)
    else {
      throw SimilarityError(
        .fingerprintMismatch,
        "\(model.path) was made by (\(fingerprint)), which is not an extractor of this package; open it with the extractor "
          + "that made it")
    }
    let weights: WeightsFile
    if let path = specification.weightsPath {
      do {
        weights = try WeightsFile(contentsOf: URL(fileURLWithPath: path))
      } catch {
        throw SimilarityError(
          error.code,
          "\(model.path) was made with the weights \(path), which cannot be used now: \(error.message). Give the place of "
            + "the same file")
      }
    } else {
      weights = try Self.bundledWeights()
    }
    self = try NetworkExtractor(
      backbone, weights: weights, layer: layer, preprocessing: preprocessing, resize: specification.input.resize,
      precision: precision, calibration: Calibration(storedIn: specification))
    try specification.requireCompatible(self.specification, model: model)
  }
}
