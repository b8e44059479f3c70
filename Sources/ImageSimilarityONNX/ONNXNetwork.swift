public import ImageSimilarityCore
public import ImageSimilarityNN

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A convolutional network, or a vision transformer, from an ONNX file.
///
/// The graph becomes layers of the same kind as those of this package's own backbones, on the same kernels. Use it as one:
///
/// ```swift
/// let network = try ONNXNetwork(contentsOf: URL(filePath: "resnet50.onnx"))
/// print("embedding \(network.embedding): \(network.embeddingReason)")
/// let extractor = try NetworkExtractor(network)
/// ```
///
/// Of operators, those that networks for classification are made of are known, in opsets 7 to 21; all numbers are computed in
/// single precision, or in what ``NetworkExtractor`` is asked for.
public struct ONNXNetwork: Backbone {
  /// `onnx`, of all of them: the weights' digest tells them apart.
  public let name = Self.architecture
  static let architecture = "onnx"
  public let inputSize: PixelSize
  public let preprocessing: Preprocessing
  /// Shapes are part of what was read.
  public let takesAnySize = false
  /// The name of the tensor that is the embedding.
  public let embedding: String
  /// Why this tensor, and what is made of it, in one sentence.
  public let embeddingReason: String
  /// The absolute path of the file.
  package let path: String
  package let weights: any WeightSource
  private let network: NetworkBuilder
  private let vector: NetworkBuilder.Value

  /// Reads a network and finds a layer for each of its nodes.
  ///
  /// The input is one tensor of pictures, `[n, 3, height, width]` or `[n, height, width, 3]`, whatever `n` is.
  ///
  /// - Parameters:
  ///   - outputTensor: The name of the tensor that is the embedding. Maps are averaged over their pixels. Where nil, the input of
  ///     the classifier that the network ends in, or the first output where there is none.
  ///   - inputSize: The pictures' size where the file leaves it open; 224x224 where nil.
  ///   - preprocessing: What the network expects of pixels; where nil, ``Preprocessing/raw`` for a network that takes bytes,
  ///     ``Preprocessing/imagenet`` for others.
  /// - Throws: ``SimilarityError/Code/networkUnsupported``, which names all nodes that there is no layer for;
  ///   ``SimilarityError/Code/weightsUnreadable`` and ``SimilarityError/Code/weightsCorrupt`` where the file cannot be read, or is
  ///   damaged; ``SimilarityError/Code/invalidArgument`` where there is no tensor of that name.
  public init(
    contentsOf url: URL, outputTensor: String? = nil, inputSize: PixelSize? = nil,
    preprocessing: Preprocessing? = nil
  ) throws(SimilarityError) {
    do {
      let file = try ONNXFile(contentsOf: url)
      try self.init(
        file.graph, name: url.lastPathComponent, path: url.standardizedFileURL.path, digest: file.digest,
        outputTensor: outputTensor, inputSize: inputSize, preprocessing: preprocessing)
    } catch {
      let isNamed = error.message.contains(url.lastPathComponent)
      throw SimilarityError(error.code, isNamed ? error.message : "\(url.lastPathComponent): \(error.message)")
    }
  }

  package init(
    _ graph: ONNXGraph, name: String, path: String, digest: String, outputTensor: String? = nil,
    inputSize: PixelSize? = nil, preprocessing: Preprocessing? = nil
  ) throws(SimilarityError) {
    var graph = graph
    if let outputTensor {
      try graph.check(hasTensor: outputTensor)
      graph = try graph.normalized(keeping: [outputTensor])
    } else {
      guard let output = graph.outputs.first?.name else { throw malformed("the graph has no outputs") }
      graph = try graph.normalized(keeping: [output])
    }
    let choice =
      if let outputTensor { EmbeddingChoice(asked: outputTensor) } else { try EmbeddingChoice(in: &graph) }
    graph = graph.reduced(to: [choice.value])

    let input = try PictureInput(of: graph, size: inputSize)
    func lower(_ graph: ONNXGraph) throws(SimilarityError) -> (Lowering, [String: Lowering.Value]) {
      var lowering = Lowering(inputSize: input.size, weights: LoweredWeights(name: name, digest: digest))
      let pictures = lowering.network.pictures(channelsFirst: input.isChannelsFirst)
      let values = try lowering.lower(graph, inputs: [input.name: .tensor(pictures)], outputs: [choice.value])
      return (lowering, values)
    }
    var (lowering, values) = try lower(graph)
    // What shapes decide is known by now, and patterns may show that it hid.
    if let known = lowering.withKnownConstants(graph) {
      (lowering, values) = try lower(known.normalized(keeping: [choice.value]))
    }
    guard case .tensor(let tensor) = values[choice.value] else {
      throw SimilarityError(.invalidArgument, "'\(choice.tensor)' is the same for all pictures")
    }
    let (vector, how) = try lowering.embedding(tensor)

    self.inputSize = input.size
    self.preprocessing = preprocessing ?? (input.isBytes ? .raw : .imagenet)
    self.path = path
    embedding = choice.tensor
    embeddingReason =
      "\(choice.reason); its shape is \(tensor.shape)" + (how.isEmpty ? "" : ", \(how)")
    weights = lowering.weights
    network = lowering.network
    self.vector = vector
  }

  public func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    precondition(network.input == self.network.input, "the pictures are of the network's size")
    network = self.network
    return BackboneOutputs(pooled: vector)
  }
}

extension ONNXGraph {
  fileprivate func check(hasTensor name: String) throws(SimilarityError) {
    guard !nodes.contains(where: { $0.outputs.contains(name) }) else { return }
    let last = nodes.suffix(8).flatMap(\.outputs).filter { !$0.isEmpty }
    throw SimilarityError(
      .invalidArgument,
      "no node computes a tensor named '\(name)'; the last ones are \(last.map { "'\($0)'" }.joined(separator: ", "))")
  }
}

/// The one input of a graph, which is a picture.
private struct PictureInput {
  var name: String
  var size: PixelSize
  var isChannelsFirst: Bool
  /// Whether it takes pixels as they are.
  var isBytes: Bool

  /// Pixels along a side of a picture.
  private static let largestSide = 1 << 12

  init(of graph: ONNXGraph, size: PixelSize?) throws(SimilarityError) {
    let expected = "expected one input of shape [1, 3, height, width] or [1, height, width, 3]"
    let read = Set(graph.nodes.flatMap(\.inputs))
    let inputs = graph.inputs.filter { read.contains($0.name) }
    guard inputs.count == 1 else {
      let names = inputs.map { "'\($0.name)'" }.joined(separator: ", ")
      throw unsupported("\(expected); found \(inputs.count) inputs\(inputs.isEmpty ? "" : ": \(names)")")
    }
    name = inputs[0].name
    guard let shape = inputs[0].shape, shape.count == 4 else {
      throw unsupported("\(expected); found '\(name)' of \(inputs[0].text)")
    }
    isBytes = inputs[0].elementType == .uint8
    if let type = inputs[0].elementType, !type.isFloatingPoint, !isBytes {
      throw unsupported("\(expected) and of floating-point numbers or uint8; found '\(name)' of \(inputs[0].text)")
    }
    func isPicture(channels: ONNXDimension) -> Bool { shape[0].mayBe(1) && channels == .size(3) }
    // Where both could be, the usual order.
    isChannelsFirst = isPicture(channels: shape[1])
    guard isChannelsFirst || isPicture(channels: shape[3]) else {
      throw unsupported("\(expected); found '\(name)' of \(inputs[0].text)")
    }
    let open = size ?? PixelSize(width: 224, height: 224)
    func side(_ dimension: ONNXDimension, _ given: Int) -> Int {
      if case .size(let side) = dimension { side } else { given }
    }
    self.size = PixelSize(
      width: side(shape[isChannelsFirst ? 3 : 2], open.width),
      height: side(shape[isChannelsFirst ? 2 : 1], open.height))
    guard [self.size.width, self.size.height].allSatisfy({ $0 > 0 && $0 <= Self.largestSide }) else {
      throw unsupported("its pictures are of \(self.size) pixels; expected sides from 1 to \(Self.largestSide)")
    }
    if let size, size != self.size {
      throw SimilarityError(.invalidArgument, "the network takes pictures of \(self.size) pixels, not of \(size)")
    }
  }
}

extension ONNXDimension {
  fileprivate func mayBe(_ size: Int) -> Bool { if case .size(let known) = self { known == size } else { true } }
}

extension ONNXValueInfo {
  fileprivate var text: String {
    let sizes = shape.map { dimensions in
      dimensions.map { dimension in
        switch dimension {
        case .size(let size): "\(size)"
        case .symbol(let name): name
        case .unknown: "?"
        }
      }
    }
    let known = sizes.map { "shape [\($0.joined(separator: ", "))]" } ?? "unknown shape"
    return elementType.map { "\(known) and type \($0)" } ?? known
  }
}

extension NetworkExtractor {
  /// Prepares a network from an ONNX file.
  ///
  /// - Parameters:
  ///   - resize: How pictures get to the network's input size.
  ///   - precision: The arithmetic.
  ///   - calibration: The ranges of the activations; ``Precision/int8`` needs them, and nothing else takes them.
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where a weight is not finite; ``SimilarityError/Code/invalidArgument`` where
  ///   the calibration is missing, or another network's, or the network does not run in that precision.
  public init(
    _ network: ONNXNetwork, resize: ResizeMode = defaultResize, precision: Precision = .fp32,
    calibration: Calibration? = nil
  ) throws(SimilarityError) {
    try self.init(
      network, source: network.weights, weightsPath: network.path, layerName: network.embedding, resize: resize,
      precision: precision, calibration: calibration)
  }
}
