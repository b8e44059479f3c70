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
      print(backbone.name, precision, cosine)
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
