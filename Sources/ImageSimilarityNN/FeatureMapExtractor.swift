public import ImageSimilarityCore

/// A network as a source of convolutional maps, for pictures of any size that it fits.
///
/// Same weights, same kernels and same arithmetic as the ``NetworkExtractor`` that it is made from; at that one's input size,
/// a map's mean is the picture's embedding. A larger input gives a finer map of things that look larger to the network.
///
/// ```swift
/// let maps = try NetworkExtractor.bundled().featureMaps(inputSize: PixelSize(width: 448, height: 448))
/// let map = try maps.extract(ImageBatch([image]))[0]  // 14x14 cells of 1280 channels
/// ```
public struct FeatureMapExtractor: Sendable {
  /// The pictures that it takes.
  public let input: ImageGeometry
  private let plan: NetworkPlan
  private let shape: NetworkPlan.MapOutput

  init(plan: NetworkPlan, input: ImageGeometry, architecture: String) throws(SimilarityError) {
    guard let shape = plan.map else {
      throw SimilarityError(
        .invalidArgument,
        "the embedding of \(architecture) is not the mean of a convolutional map, so there are no maps of its regions")
    }
    self.plan = plan
    self.input = input
    self.shape = shape
  }

  public var rows: Int { shape.height }
  public var columns: Int { shape.width }
  public var channels: Int { shape.channels }

  public func makeWorkspace() -> NetworkWorkspace { NetworkWorkspace(plan: plan) }

  /// The maps of `images`, in their order.
  ///
  /// - Parameter workspace: One that ``makeWorkspace()`` of this extractor has made.
  /// - Throws: ``SimilarityError/Code/notFinite`` where the weights are broken.
  /// - Precondition: `images.size` is that of ``input``.
  public func extract(
    _ images: borrowing ImageBatch, using workspace: NetworkWorkspace
  ) throws(SimilarityError) -> [FeatureMap] {
    let count = images.count
    var values = [Float](repeating: 0, count: count * shape.count)
    images.withPixels { pixels in
      var span = values.mutableSpan
      plan.run(pixels: pixels, count: count, workspace: workspace, maps: &span)
    }
    guard values.allSatisfy(\.isFinite) else {
      throw SimilarityError(.notFinite, "the network gave a map that is not finite; the weights are broken")
    }
    return (0..<count).map { picture in
      FeatureMap(
        rows: rows, columns: columns, channels: channels,
        values: Array(values[picture * shape.count..<(picture + 1) * shape.count]))
    }
  }

  /// The maps of `images`, in their order.
  public func extract(_ images: borrowing ImageBatch) throws(SimilarityError) -> [FeatureMap] {
    try extract(images, using: makeWorkspace())
  }
}

extension NetworkExtractor {
  private static let mapStride = 32
  private static let largestMapInput = 2048

  /// The network as a source of the maps that its pooled embeddings are the means of.
  ///
  /// - Parameter inputSize: Pictures of another size than the extractor's: both sides a multiple of 32, from 64 to 2048
  ///   pixels. The weights are prepared anew for it.
  /// - Throws: ``SimilarityError/Code/invalidArgument`` where the size is none of these, where the network takes one size
  ///   alone, or where its embedding is not the mean of a map.
  public func featureMaps(inputSize: PixelSize? = nil) throws(SimilarityError) -> FeatureMapExtractor {
    var input = specification.input
    if let inputSize, inputSize != input.size {
      guard
        [inputSize.width, inputSize.height].allSatisfy({
          $0 % Self.mapStride == 0 && $0 >= 2 * Self.mapStride && $0 <= Self.largestMapInput
        })
      else {
        throw SimilarityError(
          .invalidArgument,
          "maps are made of pictures whose sides are multiples of \(Self.mapStride), from \(2 * Self.mapStride) to "
            + "\(Self.largestMapInput); found \(inputSize)")
      }
      input.size = inputSize
    }
    return try FeatureMapExtractor(
      plan: pooledPlan(inputSize: input.size), input: input, architecture: specification.fingerprint.architecture)
  }
}
