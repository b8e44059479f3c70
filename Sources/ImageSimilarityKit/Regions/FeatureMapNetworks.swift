internal import ImageSimilarityCore
internal import ImageSimilarityNN
internal import Synchronization

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A model's network at the input sizes that maps were asked for so far: preparing one packs all weights anew.
final class FeatureMapNetworks: Sendable {
  private let made = Mutex<[PixelSize: FeatureMapExtractor]>([:])

  func get(_ extractor: NetworkExtractor, inputSize: PixelSize) throws(SimilarityError) -> FeatureMapExtractor {
    try made.withLock { made throws(SimilarityError) in
      if let known = made[inputSize] { return known }
      let maps = try extractor.featureMaps(inputSize: inputSize)
      made[inputSize] = maps
      return maps
    }
  }
}

/// A network at one input size, with what decodes pictures for it.
struct PictureMapper: Sendable {
  let decoder: any ImageDecoder
  let network: FeatureMapExtractor

  /// Input pixels between the left edges of neighbouring cells.
  var pixelsPerCell: Double { Double(network.input.size.width) / Double(network.columns) }

  func map(
    _ source: ImageSource, size: PixelSize, using workspace: NetworkWorkspace
  ) throws(SimilarityError) -> MappedPicture {
    var pixels = ImageBatch(capacity: 1, size: network.input.size)
    try pixels.append { slot throws(SimilarityError) in
      try decoder.decode(source, as: network.input, into: &slot)
    }
    return MappedPicture(
      map: try network.extract(pixels, using: workspace)[0], size: size, input: network.input)
  }
}

extension SimilarityModel {
  /// The model's network, for its maps.
  func mappingNetwork() throws(SimilarityError) -> NetworkExtractor {
    let extractor = try embedder.get().extractor
    guard let network = extractor as? NetworkExtractor else {
      throw SimilarityError(
        .invalidArgument,
        "\(url.path) was made by (\(extractor.specification.fingerprint)), which is no network of this package, so there "
          + "are no maps of its pictures' regions")
    }
    return network
  }

  func mapper(_ network: NetworkExtractor, inputSize: PixelSize) throws(SimilarityError) -> PictureMapper {
    PictureMapper(decoder: try embedder.get().decoder, network: try maps.get(network, inputSize: inputSize))
  }
}
