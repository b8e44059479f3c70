import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityONNX
import Testing

/// Files for Scripts/goldens/onnx_out.py, which runs them with onnxruntime: NAME.onnx, and NAME.safetensors with `pixels`,
/// `[n, height, width, 3]`, and what they should give, `expected`.
@Suite(.enabled(if: WritingFixtures.exchange != nil, "needs IMSIM_ONNX_OUT, which Scripts/goldens/onnx_out.py sets"))
struct WritingExchangeTests {
  private func write(
    _ name: String, _ extractor: NetworkExtractor, _ photos: [RGBImage], _ options: ONNXExportOptions = .init()
  ) throws {
    let folder = try #require(WritingFixtures.exchange)
    try extractor.writeONNX(to: folder.appending(path: "\(name).onnx"), options: options)

    let raw = try extractor.extract(ImageBatch(photos))
    let embeddings = EmbeddingMatrix((0..<raw.rows).map { row in options.transforms.reduce(raw[row], Self.applied) })
    let (width, height) = (photos[0].size.width, photos[0].size.height)
    var writer = SafetensorsWriter(metadata: ["weight_type": options.weightType.rawValue])
    writer.add("expected", embeddings)
    writer.add(
      "pixels", .u8, shape: [photos.count, height, width, 3], bytes: Data(photos.flatMap { $0.pixels }))
    try writer.write(to: folder.appending(path: "\(name).safetensors"))
  }

  private static func applied(_ x: [Float], _ transform: EmbeddingTransform) -> [Float] {
    switch transform {
    case .normalization:
      let length = x.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
      return length == 0 ? x : x.map { Float(Double($0) / length) }
    case .projection(let projection):
      return (0..<projection.matrix.rows).map { row in
        Float(zip(projection.matrix[row], x).reduce(Double(projection.bias[row])) { $0 + Double($1.0) * Double($1.1) })
      }
    }
  }

  @Test func bundledNetwork() throws {
    let photos = try WritingFixtures.photos
    let extractor = try NetworkExtractor.bundled()
    try write("efficientnet-lite0", extractor, photos)
    try write("efficientnet-lite0-fp16", extractor, photos, .init(weightType: .float16))
    try write("efficientnet-lite0-normalized", extractor, photos, .init(transforms: [.normalization]))
    let projection = try WritingFixtures.projection(64, from: 1280)
    try write(
      "efficientnet-lite0-projected", extractor, photos,
      .init(transforms: [.normalization, .projection(projection), .normalization]))
  }

  @Test(arguments: ["efficientnet-lite0", "resnet-50", "squeezenet-1.0", "squeezenet-1.1"])
  func randomWeights(_ name: String) throws {
    let photos = try WritingFixtures.photos
    let backbone = try Backbones.named(name)
    let weights = try backbone.randomWeights(seed: 7)
    for layer in EmbeddingLayer.allCases {
      let extractor = try NetworkExtractor(backbone, weights: weights, layer: layer)
      for type in ONNXExportOptions.WeightType.allCases {
        try write("\(name)-random-\(layer.rawValue)-\(type.rawValue)", extractor, photos, .init(weightType: type))
      }
    }
  }

  @Test(.enabled(if: WritingFixtures.hasShared, "needs ../shared")) func realWeights() throws {
    let photos = try WritingFixtures.photos
    let networks: [(any Backbone, String, Preprocessing)] = [
      (ResNet50(), "resnet50_ktb", .imagenet), (SqueezeNet(.version1x1), "squeezenet1_1_caffe", .caffe),
    ]
    for (backbone, name, preprocessing) in networks {
      let weights = try WeightsFile(
        contentsOf: WritingFixtures.shared.appending(path: "weights/\(name).safetensors"))
      for layer in EmbeddingLayer.allCases {
        let extractor = try NetworkExtractor(backbone, weights: weights, layer: layer, preprocessing: preprocessing)
        try write("\(backbone.name)-\(layer.rawValue)", extractor, photos)
      }
    }
  }

  @Test(arguments: EmbeddingLayer.allCases) func allLayers(_ layer: EmbeddingLayer) throws {
    let size = WritingFixtures.AllLayers().inputSize
    let pictures = (0..<3).map { picture in
      RGBImage(
        size: size,
        pixels: WritingFixtures.numbers(size.area * 3 * 3).suffix(size.area * 3 * (picture + 1))
          .prefix(size.area * 3).map { UInt8(($0 + 1) * 127.5) })
    }
    try write("all-layers-\(layer.rawValue)", WritingFixtures.allLayers(layer), pictures)
  }
}
