import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import Testing

/// The reduced precisions against fp32, with real weights; and what must not change an embedding in any of them.
@Suite struct PrecisionTests {
  private static let photos = ["bird-macaw", "castle-chambord", "cat-tabby", "rocket"]

  @Test(arguments: [Precision.bf16, .int8]) func bundledNetworkKeepsItsDirections(_ precision: Precision) throws {
    try expectCosines(EfficientNetLite0(), try NetworkExtractor.bundledWeights(), precision)
  }

  @Test(.enabled(if: Fixtures.hasShared, "needs ../shared"), arguments: [Precision.bf16, .int8])
  func resNetKeepsItsDirections(_ precision: Precision) throws {
    try expectCosines(ResNet50(), weights("resnet50_ktb.safetensors"), precision)
  }

  @Test(.enabled(if: Fixtures.hasShared, "needs ../shared"), arguments: [Precision.bf16, .int8])
  func squeezeNetKeepsItsDirections(_ precision: Precision) throws {
    try expectCosines(
      SqueezeNet(.version1x1), weights("squeezenet1_1_caffe.safetensors"), precision, preprocessing: .caffe)
  }

  /// Groups of pictures, bands of rows and tiles of Winograd's algorithm fall differently in each split.
  @Test(arguments: Backbones.all.map(\.name), Precision.allCases)
  func embeddingsDoNotDependOnTheBatch(_ name: String, _ precision: Precision) throws {
    let backbone = try Backbones.named(name)
    try Fixtures.withWeights(seededWeights(backbone, seed: 7)) { url in
      let weights = try WeightsFile(contentsOf: url)
      let pictures = noise(count: 19, size: backbone.inputSize)
      let extractor = try extractor(backbone, weights, precision, calibratedOn: ImageBatch([pictures[0]]))
      let together = try extractor.extract(ImageBatch(pictures))
      for split in [1, 3, 7] {
        for first in stride(from: 0, to: pictures.count, by: split) {
          let part = first..<min(first + split, pictures.count)
          let apart = try extractor.extract(ImageBatch(Array(pictures[part])))
          for row in part { #expect(apart[row - first].elementsEqual(together[row]), "\(split): picture \(row)") }
        }
      }
    }
  }

  /// Channels that fill neither vectors nor 32 bits, slices that a window reads, maps that tiles do not divide.
  @Test(arguments: [Precision.bf16, .int8]) func oddNetworkKeepsItsDirections(_ precision: Precision) throws {
    let backbone = OddNet(parts: (12, 20))
    try Fixtures.withWeights(seededWeights(backbone, seed: 3)) { url in
      let weights = try WeightsFile(contentsOf: url)
      let pictures = ImageBatch(noise(count: 5, size: backbone.inputSize))
      for layer in EmbeddingLayer.allCases {
        let exact = try NetworkExtractor(backbone, weights: weights, layer: layer)
        let expected = try exact.extract(pictures)
        let found = try NetworkExtractor(
          backbone, weights: weights, layer: layer, precision: precision,
          calibration: precision == .int8 ? exact.calibration(on: pictures) : nil
        ).extract(pictures)
        for row in 0..<pictures.count {
          #expect(cosine(found[row], expected[row]) >= (precision == .bf16 ? 0.999 : 0.99), "\(layer) \(row)")
        }
      }
    }
  }

  @Test(arguments: [Precision.bf16, .int8]) func networkThatOnlyFP32RunsSaysSo(_ precision: Precision) throws {
    let backbone = OddNet(parts: (13, 19))
    try Fixtures.withWeights(seededWeights(backbone, seed: 3)) { url in
      let weights = try WeightsFile(contentsOf: url)
      let exact = try NetworkExtractor(backbone, weights: weights)
      let calibration =
        try precision == .int8 ? exact.calibration(on: ImageBatch(noise(count: 1, size: backbone.inputSize))) : nil
      let error = #expect(throws: SimilarityError.self) {
        try NetworkExtractor(backbone, weights: weights, precision: precision, calibration: calibration)
      }
      #expect(error?.code == .invalidArgument && error?.message.contains("concatenates 13 channels") == true)
    }
  }

  /// Ranges from a stranger's file, and weights that a step of a 127th of them cannot count.
  @Test(arguments: [(Float(0), Float(0)), (0, .leastNonzeroMagnitude), (-3e38, 3e38), (1, 2), (-2, -1), (-1e-30, 3e38)])
  func anyRangesAndTinyWeightsCanBeQuantized(_ low: Float, _ high: Float) throws {
    let backbone = OddNet(parts: (12, 20))
    let tensors = seededWeights(backbone, seed: 3).map { tensor in
      tensor.name.hasPrefix("depthwise") || tensor.name.hasPrefix("left")
        ? (tensor.name, tensor.shape, tensor.values.map { $0 * 8 * .leastNonzeroMagnitude }) : tensor
    }
    try Fixtures.withWeights(tensors) { url in
      let weights = try WeightsFile(contentsOf: url)
      let pictures = ImageBatch(noise(count: 1, size: backbone.inputSize))
      let measured = try NetworkExtractor(backbone, weights: weights).calibration(on: pictures)
      let calibration = Calibration(
        architecture: measured.architecture, weights: measured.weights, pictures: 1,
        ranges: measured.ranges.mapValues { _ in ActivationRange(low: low, high: high) })
      let extractor = try NetworkExtractor(
        backbone, weights: weights, precision: .int8, calibration: calibration)
      #expect(try extractor.extract(pictures)[0].count == extractor.dimension)
    }
  }

  private struct OddNet: Backbone {
    /// The channels of two values that are concatenated.
    var parts: (Int, Int)
    let name = "odd-net"
    let inputSize = PixelSize(width: 37, height: 23)
    let preprocessing = Preprocessing.imagenet

    func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
      let stem = network.convolution(
        network.input, "stem", channels: 10, kernel: 5, stride: 2, padding: .same, bias: true, activation: .relu)
      let wide = network.convolution(
        stem, "wide", channels: 7, kernel: 3, padding: .symmetric(2), bias: true, activation: .relu6)
      let depthwise = network.convolution(
        wide, "depthwise", channels: 7, kernel: 3, stride: 2, padding: .same, grouping: .depthwise, bias: true)
      let left = network.convolution(
        depthwise, "left", channels: parts.0, kernel: 1, bias: true, activation: .relu)
      let right = network.convolution(
        depthwise, "right", channels: parts.1, kernel: 3, padding: .symmetric(1), bias: true, activation: .relu)
      let both = network.concatenate([left, right])
      let slice = network.convolution(
        right, "slice", channels: both.channels, kernel: 3, padding: .symmetric(1), bias: true, activation: .relu,
        adding: both)
      let pooled = network.maxPool(slice, kernel: 3, stride: 2, ceilMode: true)
      let last = network.convolution(pooled, "last", channels: 33, kernel: 1, bias: true, activation: .relu)
      let vector = network.globalAveragePool(last)
      return BackboneOutputs(pooled: vector, scores: network.linear(vector, "classifier", features: 9))
    }
  }

  private func expectCosines(
    _ backbone: any Backbone, _ weights: WeightsFile, _ precision: Precision, preprocessing: Preprocessing? = nil
  ) throws {
    let pictures = try Self.photos.map(Fixtures.photo)
    let batch = ImageBatch(pictures)
    let exact = try NetworkExtractor(backbone, weights: weights, preprocessing: preprocessing)
    let expected = try exact.extract(batch)
    let calibration = precision == .int8 ? try exact.calibration(on: batch) : nil
    let found = try NetworkExtractor(
      backbone, weights: weights, preprocessing: preprocessing, precision: precision, calibration: calibration
    ).extract(batch)
    let bound = precision == .bf16 ? 0.999 : 0.99
    for row in 0..<pictures.count {
      let cosine = cosine(found[row], expected[row])
      #expect(cosine >= bound && cosine < 1, "picture \(row)")
    }
  }

  private func extractor(
    _ backbone: any Backbone, _ weights: WeightsFile, _ precision: Precision, calibratedOn pictures: ImageBatch
  ) throws -> NetworkExtractor {
    let exact = try NetworkExtractor(backbone, weights: weights)
    guard precision != .fp32 else { return exact }
    let calibration = precision == .int8 ? try exact.calibration(on: pictures) : nil
    return try NetworkExtractor(backbone, weights: weights, precision: precision, calibration: calibration)
  }

  private func weights(_ name: String) throws -> WeightsFile {
    try WeightsFile(contentsOf: Fixtures.shared.appending(path: "weights/\(name)"))
  }

  private func cosine(_ a: some Sequence<Float>, _ b: some Sequence<Float>) -> Double {
    var (ab, aa, bb) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      ab += Double(x) * Double(y)
      aa += Double(x) * Double(x)
      bb += Double(y) * Double(y)
    }
    return ab / (aa * bb).squareRoot()
  }

  private func noise(count: Int, size: PixelSize) -> [RGBImage] {
    var state: UInt64 = 99
    return (0..<count).map { _ in
      RGBImage(
        size: size,
        pixels: (0..<size.area * 3).map { _ in
          state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return UInt8(state >> 56)
        })
    }
  }
}
