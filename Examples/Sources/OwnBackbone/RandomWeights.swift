import Foundation
import ImageSimilarityKit

extension Backbone {
  /// Writes random weights, the same for the same seed: uniform, with He's variance, 2 / fan-in. Biases are 0.
  ///
  /// An untrained network already tells apart colours and textures, though not what a picture shows.
  func writeRandomWeights(to url: URL, seed: UInt64) throws {
    var generator = SplitMix64(state: seed)
    var writer = SafetensorsWriter(metadata: ["seed": "\(seed)"])
    for (name, shape) in tensorShapes.sorted(by: { $0.key < $1.key }) {
      let count = shape.reduce(1, *)
      let bound = name.hasSuffix(".bias") ? 0 : (6 / Float(shape.dropFirst().reduce(1, *))).squareRoot()
      let values = (0..<count).map { _ in Float.random(in: -bound...bound, using: &generator) }
      writer.add(name, shape: shape, floats: values)
    }
    try writer.write(to: url)
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
