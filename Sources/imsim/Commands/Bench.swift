internal import ArgumentParser
internal import ImageSimilarityKit
internal import ImageSimilarityONNX

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measures how many pictures a second a network embeds on this machine.",
    discussion: """
      The network alone, on pictures that are decoded already: each thread embeds batches of them as fast as it can. The \
      figure is the median over ten parts of the time; the spread is the distance between their quartiles.

      Examples:
        imsim bench
        imsim bench --backbone resnet-50 --weights resnet50.pth --batch 1 --threads 2 --json
        imsim bench --backbone resnet-50 --random-weights 1 --precision bf16
        imsim bench --backbone my-net.onnx
      """)

  @Option(
    help: ArgumentHelp(
      "The network: a name of 'imsim backbones', or an ONNX file. Default: \(NetworkExtractor.bundledBackbone).",
      valueName: "name or net.onnx"))
  var backbone = NetworkExtractor.bundledBackbone

  @OptionGroup var onnx: ONNXOptions

  @Option(help: ArgumentHelp("The network's weights. The default backbone comes with its own.", valueName: "file"))
  var weights: String?

  @Option(help: ArgumentHelp("Draw weights at random: the speed is the same.", valueName: "seed"))
  var randomWeights: UInt64?

  @Option(help: "What the weights expect of pixels. Default: the backbone's usual one.")
  var preprocessing: Preprocessing?

  @Option(help: "The layer to compute: the pooled embedding or the class scores.")
  var layer = EmbeddingLayer.pooled

  @Option(help: "The arithmetic.")
  var precision = Precision.fp32

  @Option(
    help: ArgumentHelp(
      "For int8: the scales that 'imsim calibrate' wrote. Default: measured on the bundled photographs.",
      valueName: "scales.json"))
  var calibration: String?

  @Option(help: "Pictures in a batch.")
  var batch = 32

  @Option(help: "Threads, each with batches of its own.")
  var threads = 1

  @Option(help: "How long to measure.")
  var seconds = 3.0

  @Flag(help: "Print the result as one JSON object.")
  var json = false

  func validate() throws {
    guard (1...4096).contains(batch) else {
      throw ValidationError("--batch is a number from 1 to 4096; found \(batch)")
    }
    guard (1...1024).contains(threads) else {
      throw ValidationError("--threads is a number from 1 to 1024; found \(threads)")
    }
    guard seconds > 0, seconds <= 3600 else {
      throw ValidationError("--seconds is a number from 0 to 3600; found \(seconds)")
    }
    guard weights == nil || randomWeights == nil else {
      throw ValidationError("--weights and --random-weights exclude each other")
    }
  }

  private struct Report: Encodable {
    var backbone: String
    var precision: String
    var layer: EmbeddingLayer
    var batch: Int
    var threads: Int
    var imagesPerSecond: Double
    var spread: Double
    var imagesPerProcessorSecond: Double
    var preparationSeconds: Double
    var peakMemoryBytes: Int
    var kernels: String
    var cpu: String

    private enum CodingKeys: String, CodingKey {
      case backbone, precision, layer, batch, threads, spread, kernels, cpu
      case imagesPerSecond = "images_per_second"
      case imagesPerProcessorSecond = "images_per_cpu_second"
      case preparationSeconds = "preparation_seconds"
      case peakMemoryBytes = "peak_memory_bytes"
    }
  }

  func run() async throws {
    let random = try randomWeights.map { try Backbones.named(backbone).randomWeights(seed: $0) }
    let scales = precision == .int8 ? try scales(random) : nil
    let start = ContinuousClock.now
    let extractor = try makeExtractor(random, precision, scales)
    let preparation = start.duration(to: .now) / .seconds(1)
    let pictures = try decodedPhotos(extractor)
    let meter = ThroughputMeter(
      extractor: extractor, pictures: pictures, batch: batch, threads: threads, seconds: seconds)
    let result = try meter.measure()
    let report = Report(
      backbone: backbone, precision: precision.rawValue, layer: layer, batch: batch, threads: threads,
      imagesPerSecond: result.imagesPerSecond, spread: result.spread,
      imagesPerProcessorSecond: result.imagesPerProcessorSecond, preparationSeconds: preparation,
      peakMemoryBytes: peakMemoryBytes(), kernels: NetworkExtractor.instructionSet, cpu: Processor.current.model)
    if json { return try sayJSON(report) }
    say(
      """
      \(report.imagesPerSecond.formatted(digits: 1)) images/s (spread \((report.spread * 100).formatted(digits: 1)) %)
      network        \(backbone), layer \(layer.rawValue), \(precision.rawValue)
      work           \(threads.counted("thread")), batches of \(batch)
      prepared in    \((preparation * 1000).formatted(digits: 0)) ms
      peak memory    \(report.peakMemoryBytes >> 20) MB
      kernels        \(report.kernels)
      processor      \(report.cpu)
      """)
  }

  /// The bundled photographs as the network takes them.
  private func decodedPhotos(_ extractor: NetworkExtractor) throws -> [RGBImage] {
    let decoder = VipsImageDecoder()
    return try DemoPhotos.all.map { try decoder.decode(.data($0.jpeg), as: extractor.specification.input) }
  }

  private func scales(_ random: WeightsFile?) throws -> Calibration {
    if let calibration { return try Calibration(contentsOf: URL(argument: calibration)) }
    let exact = try makeExtractor(random, .fp32, nil)
    return try exact.calibration(on: ImageBatch(decodedPhotos(exact)))
  }

  private func makeExtractor(
    _ random: WeightsFile?, _ precision: Precision, _ calibration: Calibration?
  ) throws -> NetworkExtractor {
    if let random {
      return try NetworkExtractor(
        Backbones.named(backbone), weights: random, layer: layer, preprocessing: preprocessing, precision: precision,
        calibration: calibration)
    }
    do {
      return try ExtractorChoice(
        backbone: backbone, onnx: onnx.choice, weights: weights, layer: layer, preprocessing: preprocessing,
        precision: precision, calibration: calibration
      ).makeExtractor()
    } catch let error as SimilarityError {
      guard weights == nil, error.code == .weightsUnreadable, OfficialWeights.of(backbone) != nil else { throw error }
      throw SimilarityError(error.code, error.message + "\nor measure the architecture alone with --random-weights 1")
    }
  }
}
