import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityONNX

enum WritingFixtures {
  static let packageRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let environment = ProcessInfo.processInfo.environment

  /// Real weights that are no part of the package.
  static let shared = URL(
    fileURLWithPath: environment["IMSIM_SHARED"]
      ?? packageRoot.deletingLastPathComponent().appending(path: "shared").path)
  static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "weights").path)

  /// Where files for Scripts/goldens/onnx_out.py go; it sets the variable.
  static let exchange = environment["IMSIM_ONNX_OUT"].map { URL(fileURLWithPath: $0) }

  /// Three photographs of 224x224.
  static var photos: [RGBImage] {
    get throws {
      try ["bird-macaw", "cat-tabby", "rocket"].map { name in
        let url = packageRoot.appending(path: "Tests/ImageSimilarityNNTests/Goldens/\(name).ppm")
        let size = PixelSize(width: 224, height: 224)
        return RGBImage(size: size, pixels: Array([UInt8](try Data(contentsOf: url)).suffix(size.area * 3)))
      }
    }
  }

  /// Numbers of no meaning, from -1 to 1, the same every time.
  static func numbers(_ count: Int) -> [Float] {
    var state: UInt32 = 1
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(state >> 8) * 0x1p-23 - 1
    }
  }

  static func projection(_ dimension: Int, from: Int) throws -> LinearProjection {
    try LinearProjection(
      matrix: EmbeddingMatrix(rows: dimension, dimension: from, values: numbers(dimension * from)),
      mean: numbers(from).map { $0 / 32 })
  }

  /// A small network with every kind of layer that can be written.
  struct AllLayers: Backbone {
    let name = "all-layers"
    let inputSize = PixelSize(width: 10, height: 7)
    let preprocessing = Preprocessing.caffe

    func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
      let x = network.convolution(
        network.input, "stem", channels: 4, kernel: 3, stride: 2, padding: .same, bias: true,
        normalization: .init("norm"), activation: .relu6)
      let y = network.convolution(
        x, "spatial", channels: 4, kernel: 3, padding: .symmetric(1), grouping: .depthwise, activation: .relu)
      let grouped = network.convolution(
        y, "grouped", channels: 4, kernel: 3, padding: .symmetric(1), grouping: .groups(2), bias: true)
      let z = network.convolution(
        grouped, "point", channels: 4, kernel: 1, activation: .clamp(low: -.infinity, high: 1), adding: x)
      let parts = [y, z].map { network.maxPool($0, kernel: 2, stride: 2, ceilMode: true) }
      let pooled = network.globalAveragePool(network.concatenate(parts))
      var vector = network.linear(pooled, "hidden", features: 6)
      for _ in 0..<2 {
        vector = network.convolution(
          vector, "last", channels: 6, kernel: 1, bias: true, activation: .clamp(low: -0.5, high: .infinity))
      }
      return BackboneOutputs(pooled: pooled, scores: network.linear(vector, "fc", features: 3))
    }
  }

  static func allLayers(_ layer: EmbeddingLayer = .scores) throws -> NetworkExtractor {
    try NetworkExtractor(AllLayers(), weights: AllLayers().randomWeights(seed: 5), layer: layer)
  }

  /// Calls `body` with the URL of a file that is removed afterwards.
  static func withFile<R>(_ body: (URL) throws -> R) throws -> R {
    let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).onnx")
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
  }
}
