import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityONNX
import Testing

/// Tiny networks as PyTorch and others export them, against onnxruntime (Scripts/goldens/onnx_networks.py).
@Suite struct NetworkTests {
  struct Network: Decodable, Sendable, CustomTestStringConvertible {
    struct Tensor: Decodable, Sendable {
      var name: String
      var shape: [Int]
    }

    var name: String
    var file: String
    var side: Int
    /// Relative to the largest magnitude.
    var tolerance: Float
    var output: Tensor
    var embedding: Tensor

    var testDescription: String { name }

    func read(outputTensor: String? = nil) throws -> ONNXNetwork {
      try ONNXNetwork(
        contentsOf: Fixtures.networks.appending(path: file), outputTensor: outputTensor,
        inputSize: PixelSize(width: side, height: side))
    }
  }

  struct Refused: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var file: String
    /// What the message says.
    var error: [String]

    var testDescription: String { name }
  }

  private struct Index: Decodable {
    var networks: [Network]
    var refused: [Refused]
  }

  private static let index: Index = {
    do {
      return try JSONDecoder().decode(
        Index.self, from: Data(contentsOf: Fixtures.networks.appending(path: "index.json")))
    } catch {
      Issue.record("the fixtures' index cannot be read: \(error)")
      return Index(networks: [], refused: [])
    }
  }()
  static let networks = index.networks
  static let refused = index.refused

  private let goldens: SafetensorsFile

  init() throws {
    goldens = try SafetensorsFile(MappedFile(contentsOf: Fixtures.networks.appending(path: "networks.safetensors")))
  }

  private func golden(_ name: String) throws -> [Float] {
    try WeightsFile(goldens.file).floats(name)
  }

  private func pictures(_ side: Int) throws -> [RGBImage] {
    let pixels = try golden("pixels/\(side)")
    let size = PixelSize(width: side, height: side)
    return (0..<pixels.count / (size.area * 3)).map { picture in
      RGBImage(
        size: size, pixels: pixels[picture * size.area * 3..<(picture + 1) * size.area * 3].map { UInt8($0) })
    }
  }

  @Test func thereAreFixtures() { #expect(Self.networks.count >= 50 && Self.refused.count >= 10) }

  /// The embedding by default, and the graph's output by its name.
  @Test(arguments: networks) func networkAgreesWithONNXRuntime(_ network: Network) throws {
    let batch = try ImageBatch(pictures(network.side))
    for (tensor, wanted) in [(nil, "embedding"), (network.output.name, "output")] {
      let read = try network.read(outputTensor: tensor)
      let found = try NetworkExtractor(read).extract(batch)
      var expected = try golden("\(network.name)/\(wanted)")
      let shape = tensor == nil ? network.embedding.shape : network.output.shape
      if shape.count == 4, shape[2] * shape[3] > 1 { expected = averaged(expected, shape) }
      #expect(expected.count == batch.count * found.dimension, "\(read.embeddingReason)")
      let largest = expected.map(abs).max() ?? 0
      let values = (0..<batch.count).flatMap { found[$0] }
      let worst = zip(values, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(
        worst <= network.tolerance * largest, "\(wanted): \(worst / largest) of the largest; \(read.embeddingReason)")
      #expect(tensor != nil || expected.contains { $0 != expected[0] })
    }
  }

  /// Maps `[channels, height, width]`, averaged over their pixels as embeddings are.
  private func averaged(_ maps: [Float], _ shape: [Int]) -> [Float] {
    let area = shape[2] * shape[3]
    return stride(from: 0, to: maps.count, by: area).map { start in
      Float(maps[start..<start + area].reduce(0) { $0 + Double($1) } / Double(area))
    }
  }

  @Test(arguments: refused) func fileIsRefused(_ refused: Refused) throws {
    let error = #expect(throws: SimilarityError.self) {
      try ONNXNetwork(contentsOf: Fixtures.networks.appending(path: refused.file))
    }
    let message = error?.message ?? ""
    #expect(refused.error.allSatisfy { message.contains($0) }, "\(message)")
    #expect(message.contains(refused.file), "\(message)")
  }

  /// Batch normalisations, activations and residuals become parts of convolutions: nothing else is left.
  @Test(
    arguments: networks.filter { network in
      ["resnet-", "squeezenet-", "mobilenet-v1-", "mobilenet-v2-", "efficientnet-lite-"].contains {
        network.name.hasPrefix($0)
      }
    }) func layersAreFused(_ network: Network) throws
  {
    let read = try network.read()
    var builder = NetworkBuilder(inputSize: read.inputSize)
    _ = read.build(&builder)
    let others = builder.nodes.filter { node in
      if case .tensor = node.layer { true } else { false }
    }
    #expect(others.isEmpty, "\(others.count) of \(builder.nodes.count) layers")
  }

  @Test(arguments: ["resnet-script", "mobilenet-v2-script", "squeezenet-script"])
  func reducedPrecisionsStayClose(_ name: String) throws {
    let network = try #require(Self.networks.first { $0.name == name })
    let read = try network.read()
    let batch = try ImageBatch(pictures(network.side))
    let exact = try NetworkExtractor(read)
    let expected = try exact.extract(batch)
    let calibration = try exact.calibration(on: batch)
    for precision in [Precision.bf16, .int8] {
      let extractor = try NetworkExtractor(
        read, precision: precision, calibration: precision == .int8 ? calibration : nil)
      let found = try extractor.extract(batch)
      for row in 0..<batch.count {
        let cosine = zip(found[row], expected[row]).reduce(0) { $0 + $1.0 * $1.1 }
        let lengths = [found[row], expected[row]].map { $0.reduce(0) { $0 + $1 * $1 }.squareRoot() }
        #expect(cosine / (lengths[0] * lengths[1]) > 0.99, "\(precision)")
      }
    }
  }

  @Test func specificationLeadsBackToTheNetwork() throws {
    let network = try #require(Self.networks.first { $0.name == "open-size" })
    let extractor = try NetworkExtractor(network.read())
    let specification = extractor.specification
    #expect(
      specification.fingerprint.architecture == "onnx" && specification.fingerprint.layer == network.embedding.name)
    let again = try #require(try ONNXNetwork.extractor(for: specification))
    #expect(again.specification.isCompatible(with: specification))
    var other = specification
    other.fingerprint.architecture = "resnet-50"
    #expect(try ONNXNetwork.extractor(for: other) == nil)
  }

  @Test func unknownTensorIsNamed() throws {
    let network = try #require(Self.networks.first)
    let error = #expect(throws: SimilarityError.self) { try network.read(outputTensor: "nowhere") }
    #expect(error?.code == .invalidArgument && error?.message.contains("'nowhere'") == true)
  }

  /// A third party's file gives what this package's own network gives with the same weights.
  @Test(.enabled(if: Fixtures.hasShared, "needs ../shared")) func squeezeNetIsOurs() throws {
    let url = Fixtures.shared.appending(path: "weights/SqueezeNet_fp16.onnx")
    let graph = try ONNXFile(contentsOf: url).graph
    // The layers are in the same order: each convolution's weight and bias.
    let convolutions = graph.nodes.filter { $0.operation == "Conv" }.compactMap { node in
      zip(node.inputs.dropFirst().map { graph.initializers[$0] }, ["weight", "bias"]).compactMap { tensor, part in
        tensor.map { ($0, part) }
      }
    }
    var builder = NetworkBuilder(inputSize: SqueezeNet(.version1x1).inputSize)
    _ = SqueezeNet(.version1x1).build(&builder)
    let names = builder.nodes.compactMap { node in
      if case .convolution(let layer) = node.layer { layer.name } else { nil }
    }
    #expect(convolutions.count == names.count)
    var writer = SafetensorsWriter()
    for (name, tensors) in zip(names, convolutions) {
      for (tensor, part) in tensors {
        writer.add("\(name).\(part)", shape: tensor.shape, floats: try tensor.floats())
      }
    }
    let file = FileManager.default.temporaryDirectory.appending(path: "squeezenet-\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: file) }
    try writer.write(to: file)
    let own = try NetworkExtractor(
      SqueezeNet(.version1x1), weights: WeightsFile(contentsOf: file), preprocessing: .caffe)
    let foreign = try NetworkExtractor(
      ONNXNetwork(contentsOf: url, inputSize: own.specification.input.size, preprocessing: .caffe))

    let size = own.specification.input.size
    let pictures = (0..<3).map { picture in
      RGBImage(
        size: size,
        pixels: (0..<size.area * 3).map { UInt8(truncatingIfNeeded: ($0 >> 4) &* (picture &+ 3) ^ ($0 / 700)) })
    }
    let expected = try own.extract(ImageBatch(pictures))
    let found = try foreign.extract(ImageBatch(pictures))
    #expect(found.dimension == expected.dimension)
    for row in 0..<3 {
      let largest = expected[row].map(abs).max() ?? 0
      #expect(largest > 0)
      #expect(zip(found[row], expected[row]).allSatisfy { abs($0 - $1) <= 1e-5 * largest })
    }
  }
}
