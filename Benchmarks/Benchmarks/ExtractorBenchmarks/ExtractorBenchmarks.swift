import Benchmark
import Foundation
import ImageSimilarityKit

/// How many pictures a second one thread embeds, by network, precision and size of batch; how many it decodes; and how many
/// vectors it compares with a query.
///
///     swift package --package-path Benchmarks benchmark --target ExtractorBenchmarks
let benchmarks: @Sendable () -> Void = {
  Benchmark.defaultConfiguration = .init(
    metrics: [.wallClock, .peakMemoryResident, imagesPerSecond], warmupIterations: 1, maxDuration: .seconds(5))

  for precision in Precision.allCases {
    for batch in [1, 32] {
      for backbone in [EfficientNetLite0(), ResNet50(), SqueezeNet(.version1x1)] as [any Backbone] {
        measureExtraction(backbone, precision, batch: batch)
      }
    }
  }
  measureDecoding("a 4000x3000 JPEG") {
    let size = PixelSize(width: 4000, height: 3000)
    let gradient = (0..<size.area * 3).map { UInt8(truncatingIfNeeded: $0 / 3 % size.width / 16 + $0 / 36_000) }
    return try RGBImage(size: size, pixels: gradient).jpegData()
  }
  measureDecoding("a 640x480 photograph") {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
    return try Data(contentsOf: root.appending(path: "Sources/CDemoPhotos/photos/castle-chambord.jpg"))
  }
  measureSearch(queries: 1)
  measureSearch(queries: 100)
}

// Custom metrics, since the tool's own throughput counts runs.
private let imagesPerSecond = BenchmarkMetric.custom("Images / s", polarity: .prefersLarger, useScalingFactor: false)
private let megabytesPerSecond = BenchmarkMetric.custom("MB/s", polarity: .prefersLarger, useScalingFactor: false)

/// One thread, one workspace, as a worker of the pipeline does it. Random weights: the speed does not depend on their values.
private func measureExtraction(_ backbone: any Backbone, _ precision: Precision, batch count: Int) {
  Benchmark("extract \(backbone.name), \(precision), batch \(count)") { benchmark, extractor in
    let images = ImageBatch.noise(count: count, size: extractor.specification.input.size)
    var workspace = extractor.makeWorkspace()
    var embeddings = [Float](repeating: 0, count: count * extractor.dimension)
    var span = embeddings.mutableSpan
    // Touches all memory of the workspace, which a worker keeps.
    try extractor.extract(images, using: &workspace, into: &span)
    let duration = try benchmark.measure { try extractor.extract(images, using: &workspace, into: &span) }
    benchmark.measurement(imagesPerSecond, Int((Double(count) / (duration / .seconds(1))).rounded()))
  } setup: { () throws -> NetworkExtractor in
    let weights = try backbone.randomWeights(seed: 1)
    guard precision == .int8 else { return try NetworkExtractor(backbone, weights: weights, precision: precision) }
    let calibration = try NetworkExtractor(backbone, weights: weights)
      .calibration(on: .noise(count: 2, size: backbone.inputSize))
    return try NetworkExtractor(backbone, weights: weights, precision: .int8, calibration: calibration)
  }
}

/// A JPEG file in memory, to the input of a network.
private func measureDecoding(_ name: String, jpeg: @escaping @Sendable () throws -> Data) {
  Benchmark("decode \(name) to 224x224") { benchmark, jpeg in
    let geometry = ImageGeometry(size: PixelSize(width: 224, height: 224), resize: .pad)
    let decoder = VipsImageDecoder()
    let duration = try benchmark.measure { blackHole(try decoder.decode(.data(jpeg), as: geometry)) }
    benchmark.measurement(imagesPerSecond, Int((1 / (duration / .seconds(1))).rounded()))
  } setup: {
    try jpeg()
  }
}

/// The ten nearest of 50,000 vectors; the bytes are those of the vectors, which a single query is limited by.
private func measureSearch(queries count: Int) {
  let (rows, dimension) = (50_000, 1280)
  Benchmark(
    "search \(rows) x \(dimension), queries: \(count)",
    configuration: .init(
      metrics: [.wallClock, .peakMemoryResident, megabytesPerSecond], units: [megabytesPerSecond: .count])
  ) { benchmark, index in
    let queries = EmbeddingMatrix.noise(rows: count, dimension: dimension, seed: 2)
    benchmark.startMeasurement()
    let start = ContinuousClock.now
    blackHole(try await index.search(queries, SearchRequest(k: 10)))
    let duration = start.duration(to: .now)
    benchmark.stopMeasurement()
    let bytes = rows * dimension * MemoryLayout<Float>.stride
    benchmark.measurement(megabytesPerSecond, Int((Double(bytes) / (duration / .microseconds(1))).rounded()))
  } setup: { () throws -> ExactIndex in
    let index = ExactIndex(dimension: dimension)
    try index.upsert(.noise(rows: rows, dimension: dimension, seed: 1), ids: (0..<rows).map { "\($0)" })
    return index
  }
}

extension Benchmark {
  fileprivate func measure(_ body: () throws -> Void) rethrows -> Duration {
    startMeasurement()
    let start = ContinuousClock.now
    try body()
    let duration = start.duration(to: .now)
    stopMeasurement()
    return duration
  }
}
