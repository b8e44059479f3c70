import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN

/// Where the tests' files are.
enum Fixtures {
  static let packageRoot = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let goldens = packageRoot.appending(path: "Tests/ImageSimilarityNNTests/Goldens")
  static let environment = ProcessInfo.processInfo.environment

  /// Real weights and photographs that are no part of the package.
  static let shared = URL(
    fileURLWithPath: environment["IMSIM_SHARED"]
      ?? packageRoot.deletingLastPathComponent().appending(path: "shared").path)
  static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "weights").path)

  /// The published weights of EfficientNet-Lite0 with the classifier.
  static let efficientNet = environment["IMSIM_EFFICIENTNET_PTH"].map { URL(fileURLWithPath: $0) }

  /// A 224 x 224 photograph: binary PPM with a one-line-per-field header.
  static func photo(_ name: String) throws -> RGBImage {
    let bytes = [UInt8](try Data(contentsOf: goldens.appending(path: "\(name).ppm")))
    let size = PixelSize(width: 224, height: 224)
    return RGBImage(size: size, pixels: Array(bytes.suffix(size.area * 3)))
  }

  /// Calls `body` with a weights file of the given tensors.
  static func withWeights<R>(
    _ tensors: [(name: String, shape: [Int], values: [Float])], _ body: (URL) throws -> R
  ) throws -> R {
    var writer = SafetensorsWriter()
    for tensor in tensors { writer.add(tensor.name, shape: tensor.shape, floats: tensor.values) }
    let url = FileManager.default.temporaryDirectory.appending(path: "weights-\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: url) }
    try writer.write(to: url)
    return try body(url)
  }
}

/// The weights of `seeded_weights` in Scripts/goldens/networks.py, which says how they are drawn.
func seededWeights(_ backbone: any Backbone, seed: UInt64) -> [(name: String, shape: [Int], values: [Float])] {
  var state = seed
  func draw() -> Float {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Float((z ^ (z >> 31)) >> 40) * 0x1p-24
  }
  return backbone.tensorShapes.sorted { $0.key < $1.key }.map { name, shape in
    let count = shape.reduce(1, *)
    let transform: (Float) -> Float
    if name.hasSuffix(".running_var") || (name.hasSuffix(".weight") && shape.count == 1) {
      transform = { 0.5 + $0 }
    } else if name.hasSuffix(".running_mean") || name.hasSuffix(".bias") {
      transform = { (2 * $0 - 1) * 0.1 }
    } else {
      let scale = Float(2 / Double(shape.dropFirst().reduce(1, *)).squareRoot())
      transform = { (2 * $0 - 1) * scale }
    }
    return (name, shape, (0..<count).map { _ in transform(draw()) })
  }
}
