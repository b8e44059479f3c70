import Benchmark
import Foundation
import ImageSimilarityKit

/// How many pictures a second one thread embeds, by backbone and batch size; and how many it decodes.
///
///     swift package --package-path Benchmarks benchmark
let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock, .peakMemoryResident, imagesPerSecond], warmupIterations: 1, maxDuration: .seconds(5))

  for batch in [1, 8, 32] {
    measureExtraction("efficientnet-lite0", batch: batch) { try NetworkExtractor.bundled() }
    for backbone in [ResNet50(), SqueezeNet(.version1x1)] as [any Backbone] {
      measureExtraction(backbone.name, batch: batch) {
        // The speed does not depend on their values.
        try NetworkExtractor(backbone, weights: backbone.randomWeights(seed: 1))
      }
    }
  }
  measureDecoding()
}

/// A custom metric, since the tool's own throughput counts runs, not pictures.
private let imagesPerSecond = BenchmarkMetric.custom("Images / s", polarity: .prefersLarger, useScalingFactor: false)

/// One thread, one workspace, as a worker of the pipeline does it.
private func measureExtraction(
  _ name: String, batch count: Int, extractor makeExtractor: @escaping @Sendable () throws -> NetworkExtractor
) {
  Benchmark("extract \(name), batch \(count)") { benchmark, extractor in
    let images = ImageBatch.noise(count: count, size: extractor.specification.input.size)
    var workspace = extractor.makeWorkspace()
    var embeddings = [Float](repeating: 0, count: count * extractor.dimension)
    var span = embeddings.mutableSpan
    // Touches all memory of the workspace, which a worker keeps.
    try extractor.extract(images, using: &workspace, into: &span)
    try benchmark.measure(images: count) { try extractor.extract(images, using: &workspace, into: &span) }
  } setup: {
    try makeExtractor()
  }
}

/// A 12-megapixel JPEG file in memory, to the input of a network.
private func measureDecoding() {
  Benchmark("decode a 4000x3000 JPEG to 224x224") { benchmark, jpeg in
    let geometry = ImageGeometry(size: PixelSize(width: 224, height: 224), resize: .pad)
    let decoder = VipsImageDecoder()
    try benchmark.measure(images: 1) { blackHole(try decoder.decode(.data(jpeg), as: geometry)) }
  } setup: {
    let size = PixelSize(width: 4000, height: 3000)
    let gradient = (0..<size.area * 3).map { UInt8(truncatingIfNeeded: $0 / 3 % size.width / 16 + $0 / 36_000) }
    return try RGBImage(size: size, pixels: gradient).jpegData()
  }
}

extension Benchmark {
  fileprivate func measure(images: Int, _ body: () throws -> Void) rethrows {
    startMeasurement()
    let start = ContinuousClock.now
    try body()
    let duration = start.duration(to: .now)
    stopMeasurement()
    measurement(imagesPerSecond, Int((Double(images) / (duration / .seconds(1))).rounded()))
  }
}
