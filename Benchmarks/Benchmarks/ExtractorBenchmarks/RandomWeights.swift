import Foundation
import ImageSimilarityKit

extension Backbone {
  /// Prepares the network with seeded random weights: its speed does not depend on their values.
  func withRandomWeights() throws -> NetworkExtractor {
    var generator = SplitMix64(state: 1)
    var writer = SafetensorsWriter()
    for (name, shape) in tensorShapes.sorted(by: { $0.key < $1.key }) {
      let bound = (3 / Float(max(1, shape.dropFirst().reduce(1, *)))).squareRoot()
      // Variances are positive.
      let range = name.hasSuffix(".running_var") ? 0.5...1.5 : -bound...bound
      let values = (0..<shape.reduce(1, *)).map { _ in Float.random(in: range, using: &generator) }
      writer.add(name, shape: shape, floats: values)
    }
    let url = FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: url) }
    try writer.write(to: url)
    return try NetworkExtractor(self, weights: WeightsFile(contentsOf: url))
  }
}

extension ImageBatch {
  /// Noise, the same at every run.
  static func noise(count: Int, size: PixelSize) -> ImageBatch {
    var generator = SplitMix64(state: 2)
    var batch = ImageBatch(capacity: count, size: size)
    for _ in 0..<count {
      batch.append { pixels in
        for i in pixels.indices { pixels[i] = UInt8.random(in: .min ... .max, using: &generator) }
      }
    }
    return batch
  }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
