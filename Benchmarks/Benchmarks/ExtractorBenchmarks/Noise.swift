import ImageSimilarityKit
import SeededNoise

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

extension EmbeddingMatrix {
  /// Elements between -1 and 1.
  static func noise(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var generator = SplitMix64(state: seed)
    return EmbeddingMatrix(
      rows: rows, dimension: dimension,
      values: (0..<rows * dimension).map { _ in Float.random(in: -1...1, using: &generator) })
  }
}
