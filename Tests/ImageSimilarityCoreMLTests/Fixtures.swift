import Foundation
import ImageSimilarityKit

/// A folder that goes away with the test.
final class TemporaryFolder {
  let url = FileManager.default.temporaryDirectory.appending(path: "imsim-test-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(at: url) }

  func url(_ name: String) -> URL { url.appending(path: name) }
}

/// Every kind of layer, padding and activation that backbones have, on pictures that are not square.
struct SmallNet: Backbone {
  let name = "small-net"
  let inputSize = PixelSize(width: 30, height: 22)
  var preprocessing = Preprocessing.imagenet

  func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    var x = network.convolution(
      network.input, "stem", channels: 8, kernel: 3, stride: 2, padding: .same, normalization: .init("stem_bn"),
      activation: .relu6)
    // 11 x 15: a last window reaches over each edge.
    x = network.maxPool(x, kernel: 2, stride: 2, ceilMode: true)
    let depthwise = network.convolution(
      x, "depthwise", channels: 8, kernel: 5, padding: .same, grouping: .depthwise,
      normalization: .init("depthwise_bn"), activation: .relu6)
    x = network.convolution(
      depthwise, "projection", channels: 8, kernel: 1, normalization: .init("projection_bn"), adding: x)
    let halves = [
      network.convolution(x, "left", channels: 6, kernel: 1, bias: true, activation: .relu),
      network.convolution(x, "right", channels: 10, kernel: 3, padding: .symmetric(1), bias: true),
    ]
    x = network.concatenate(halves)
    x = network.maxPool(x, kernel: 3, stride: 2, padding: 1)
    x = network.convolution(
      x, "last", channels: 16, kernel: 3, padding: .symmetric(1), normalization: .init("last_bn"), activation: .relu,
      adding: x)
    let pooled = network.globalAveragePool(x)
    return BackboneOutputs(pooled: pooled, scores: network.linear(pooled, "classifier", features: 5))
  }
}

/// Embeddings as long as those of real networks, and little else.
struct WideNet: Backbone {
  let name = "wide-net"
  let inputSize = PixelSize(width: 4, height: 4)
  let preprocessing = Preprocessing.tfLite

  func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    let x = network.convolution(network.input, "only", channels: 2048, kernel: 1, bias: true, activation: .relu)
    return BackboneOutputs(pooled: network.globalAveragePool(x))
  }
}

enum Pictures {
  /// Stripes and a gradient in the colours of a seed: pictures that a network with random weights can tell apart.
  static func make(_ seed: Int, _ size: PixelSize) -> RGBImage {
    var pixels: [UInt8] = []
    for y in 0..<size.height {
      for x in 0..<size.width {
        for color in 0..<3 {
          let base = (seed * 89 + color * 57 + seed * color * 31) % 200
          let stripes = (x * (seed % 5) + y * (seed % 3 + color)) % 11 * 5
          pixels.append(UInt8((base + stripes + (x * y * seed) % 7) % 256))
        }
      }
    }
    return RGBImage(size: size, pixels: pixels)
  }

  static func collection(_ count: Int, _ size: PixelSize, label: (Int) -> String? = { _ in nil }) -> ImageCollection {
    .items(
      (1...count).map { seed in
        ImageItem(id: "picture \(seed)", source: .pixels(make(seed, size)), label: label(seed))
      })
  }
}
