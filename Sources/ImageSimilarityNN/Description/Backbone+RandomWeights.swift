public import ImageSimilarityCore
public import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension Backbone {
  /// Weights of no use but to measure and test the architecture: seeded, and drawn so that activations keep their size from
  /// layer to layer (He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015).
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the temporary folder cannot be written.
  public func randomWeights(seed: UInt64) throws(SimilarityError) -> WeightsFile {
    var generator = SplitMix64(state: seed)
    var writer = SafetensorsWriter()
    for (name, shape) in tensorShapes.sorted(by: { $0.key < $1.key }) {
      let range: ClosedRange<Float>
      if shape.count > 1 {
        // Of variance 2 / inputs.
        let bound = (6 / Float(shape.dropFirst().reduce(1, *))).squareRoot()
        range = -bound...bound
      } else if name.hasSuffix(".running_var") || name.hasSuffix(".weight") {
        range = 0.75...1.25
      } else {
        range = -0.1...0.1
      }
      let values = (0..<shape.reduce(1, *)).map { _ in
        range.lowerBound + generator.nextFraction() * (range.upperBound - range.lowerBound)
      }
      writer.add(name, shape: shape, floats: values)
    }
    let url = FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID().uuidString).safetensors")
    // The file is mapped by then, and its bytes stay as long as they are.
    defer { try? FileManager.default.removeItem(at: url) }
    try writer.write(to: url)
    return try WeightsFile(contentsOf: url)
  }
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
private struct SplitMix64 {
  var state: UInt64

  /// From 0 to less than 1.
  mutating func nextFraction() -> Float {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Float((z ^ (z >> 31)) >> 40) * 0x1p-24
  }
}
