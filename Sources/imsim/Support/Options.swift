public import ArgumentParser
public import ImageSimilarityKit
internal import ImageSimilarityONNX

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ResizeMode: ExpressibleByArgument {}
extension Preprocessing: ExpressibleByArgument {}
extension EmbeddingLayer: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension ElementPrecision: ExpressibleByArgument {}
extension Metric: ExpressibleByArgument {}

/// The options that choose an extractor.
struct ExtractorOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The network: a name of 'imsim backbones', or an ONNX file. Default: \(NetworkExtractor.bundledBackbone).",
      valueName: "name or net.onnx"))
  var backbone: String?

  @OptionGroup var onnx: ONNXOptions

  @Option(
    help: ArgumentHelp(
      "The network's weights: a safetensors file or a PyTorch state dictionary (.pth, .pt). The default backbone comes with "
        + "its own; those of others are looked for where 'imsim weights' puts them.", valueName: "file"))
  var weights: String?

  @Option(help: "What the weights expect of pixels. Default: the backbone's usual one.")
  var preprocessing: Preprocessing?

  @Option(help: "How pictures get to the network's input size. Default: \(NetworkExtractor.defaultResize.rawValue).")
  var resize: ResizeMode?

  @Option(
    help: """
      The arithmetic. bf16 and int8 are faster where the processor has instructions for them, and a little less exact. \
      Default: \(Precision.fp32.rawValue).
      """)
  var precision: Precision?

  @Option(
    help: ArgumentHelp(
      "For int8: the scales that 'imsim calibrate' wrote. Without it, the default backbone takes those that come with it, "
        + "and others measure theirs on up to 128 of the pictures.", valueName: "scales.json"))
  var calibration: String?

  var isEmpty: Bool {
    backbone == nil && weights == nil && preprocessing == nil && resize == nil && precision == nil && calibration == nil
      && onnx.isEmpty
  }

  /// Prepares the network; in int8 without a calibration, it is measured on `collection`.
  func makeExtractor(
    layer: EmbeddingLayer = .pooled, calibratingOn collection: ImageCollection
  ) async throws -> NetworkExtractor {
    try await ExtractorChoice(
      backbone: backbone ?? NetworkExtractor.bundledBackbone, onnx: onnx.choice, weights: weights, layer: layer,
      preprocessing: preprocessing, resize: resize ?? NetworkExtractor.defaultResize, precision: precision ?? .fp32,
      calibration: readCalibration()
    ).makeExtractor(calibratingOn: collection)
  }

  /// The extractor of a model that exists, with what the options say changed.
  func makeExtractor(reopening model: URL) throws -> NetworkExtractor {
    let specification = try SimilarityModel.specification(ofModelAt: model)
    let fingerprint = specification.fingerprint
    let precision = precision ?? Precision(fingerprint: fingerprint.precision) ?? .fp32
    var choice = ExtractorChoice(
      backbone: backbone ?? fingerprint.architecture, onnx: onnx.choice, weights: weights, preprocessing: preprocessing,
      resize: resize ?? specification.input.resize, precision: precision,
      calibration: try readCalibration() ?? (precision == .int8 ? Calibration(storedIn: specification) : nil))
    if ONNXNetwork.made(specification) {
      choice.backbone = backbone ?? weights ?? specification.weightsPath ?? choice.backbone
      choice.weights = nil
      choice.onnx.outputTensor = onnx.outputTensor ?? fingerprint.layer
      choice.onnx.inputSize = onnx.inputSize ?? specification.input.size
      choice.preprocessing = preprocessing ?? Preprocessing(rawValue: fingerprint.preprocessing)
    } else if backbone == nil || backbone == fingerprint.architecture {
      choice.weights = weights ?? specification.weightsPath
      choice.preprocessing = preprocessing ?? Preprocessing(rawValue: fingerprint.preprocessing)
    }
    if let layer = EmbeddingLayer(rawValue: fingerprint.layer) { choice.layer = layer }
    return try choice.makeExtractor()
  }

  private func readCalibration() throws -> Calibration? {
    try calibration.map { try Calibration(contentsOf: URL(argument: $0)) }
  }
}

/// What an ONNX file leaves open.
struct ONNXOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Of an ONNX file: the tensor that is the embedding. Default: what the classifier reads.", valueName: "name"))
  var outputTensor: String?

  @Option(
    help: ArgumentHelp(
      "Of an ONNX file that takes pictures of any size: the size that they get. Default: 224x224.",
      valueName: "width x height"),
    transform: { text in
      let sides = text.lowercased().split(separator: "x").compactMap { Int($0) }
      guard sides.count == 2, sides.allSatisfy({ (1...4096).contains($0) }) else {
        throw ValidationError("--input-size is a width and a height up to 4096, such as 224x224; found \(text)")
      }
      return PixelSize(width: sides[0], height: sides[1])
    })
  var inputSize: PixelSize?

  var isEmpty: Bool { choice.isEmpty }
  var choice: Choice { Choice(outputTensor: outputTensor, inputSize: inputSize) }

  struct Choice {
    var outputTensor: String?
    var inputSize: PixelSize?

    var isEmpty: Bool { outputTensor == nil && inputSize == nil }
  }
}

extension SimilarityModel.Options {
  /// Models of ONNX files open like others.
  static var commandLine: SimilarityModel.Options {
    var options = SimilarityModel.Options()
    options.makeExtractor = { specification throws(SimilarityError) in
      try ONNXNetwork.extractor(for: specification)
    }
    return options
  }
}

/// What it takes to prepare a network.
struct ExtractorChoice {
  var backbone: String
  var onnx = ONNXOptions.Choice()
  var weights: String?
  var layer = EmbeddingLayer.pooled
  var preprocessing: Preprocessing?
  var resize = NetworkExtractor.defaultResize
  var precision = Precision.fp32
  var calibration: Calibration?

  var isONNX: Bool { backbone.lowercased().hasSuffix(".onnx") }

  func makeExtractor() throws -> NetworkExtractor {
    if precision != .fp32, !NetworkExtractor.fasterPrecisions.contains(precision) {
      warn("\(precision.rawValue) is no faster than fp32 here: the processor has no instructions for it")
    }
    guard isONNX else {
      guard onnx.isEmpty else {
        throw ValidationError(
          "--output-tensor and --input-size are for --backbone with an ONNX file, not for \(backbone)")
      }
      return try NetworkExtractor(
        named: backbone, weights: weights.map { URL(argument: $0) }, layer: layer, preprocessing: preprocessing,
        resize: resize, precision: precision, calibration: calibration)
    }
    guard weights == nil, layer == .pooled else {
      throw ValidationError(
        "an ONNX file has its own weights and tensors: leave out --weights, and name a tensor with --output-tensor "
          + "instead of --layer")
    }
    let network = try ONNXNetwork(
      contentsOf: URL(argument: backbone), outputTensor: onnx.outputTensor, inputSize: onnx.inputSize,
      preprocessing: preprocessing)
    if onnx.outputTensor == nil { warn("the embedding is '\(network.embedding)': \(network.embeddingReason)") }
    return try NetworkExtractor(network, resize: resize, precision: precision, calibration: calibration)
  }

  /// Measures the calibration first where one is needed and none comes with the network.
  func makeExtractor(calibratingOn collection: ImageCollection) async throws -> NetworkExtractor {
    guard precision == .int8, calibration == nil, weights != nil || backbone != NetworkExtractor.bundledBackbone else {
      return try makeExtractor()
    }
    var exact = self
    exact.precision = .fp32
    var choice = self
    let measured = try await exact.makeExtractor().calibration(on: collection)
    choice.calibration = measured
    warn("calibrated \(backbone) on \(measured.pictures.counted("picture")) (--calibration takes a file instead)")
    return try choice.makeExtractor()
  }
}

/// How many neighbours are wanted.
struct NeighborOptions: ParsableArguments {
  @Option(
    name: .short,
    help: ArgumentHelp("At most so many. Default: 5; with --radius, all within it.", valueName: "k"))
  var k: Int?

  @Option(help: "Only those at this distance or nearer.")
  var radius: Float?

  func validate() throws {
    if let k, k < 1 { throw ValidationError("-k is the number of hits wanted, at least 1; found \(k)") }
    if let radius, !(radius >= 0) { throw ValidationError("--radius is a distance, at least 0; found \(radius)") }
  }
}

/// Which pictures are meant.
struct FilterOptions: ParsableArguments {
  @Option(
    name: .customLong("where"),
    help: ArgumentHelp(
      "Only pictures whose record matches: label=cat, 'label=cat and year>=2020', 'path~*/2024/*', 'has(label)'.",
      valueName: "condition"),
    transform: Self.parse)
  var predicate: RecordPredicate?

  static func parse(_ text: String) throws -> RecordPredicate {
    do throws(SimilarityError) {
      return try RecordPredicate(parsing: text)
    } catch {
      throw ValidationError(error.message)
    }
  }
}

/// How many pictures are worked on at the same time.
struct ThreadOptions: ParsableArguments {
  @Option(help: "Pictures worked on at the same time. Default: one a processor.")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads is a number from 1 to 1024; found \(threads)")
    }
  }
}

extension URL {
  /// A file or folder as the command line names it.
  init(argument: String) { self.init(fileURLWithPath: argument) }
}

extension ImageCollection {
  /// The folders and files that the command line names, in its order.
  static func arguments(_ paths: [String]) throws -> ImageCollection {
    .joined(
      try paths.map { path in
        var isFolder = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
          throw SimilarityError(.inputOutput, "there is no file or folder \(path)")
        }
        return isFolder ? .folder(URL(argument: path)) : .files([URL(argument: path)])
      })
  }
}
