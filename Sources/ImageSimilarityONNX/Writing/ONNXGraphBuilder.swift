import ImageSimilarityCore
import ImageSimilarityNN

/// Translates a network to ONNX's operators, of opset ``opset``: from bytes `[batch, height, width, 3]` to embeddings
/// `[batch, dimension]`.
struct ONNXGraphBuilder {
  /// Old enough for every runtime in use, and the last one of IR version 8.
  static let opset = 17
  static let inputName = "image"
  static let outputName = "embedding"

  /// A constant of the graph and where its elements come from.
  enum Constant {
    case floats(ONNXTensorHeader, [Float])
    case integers(ONNXTensorHeader, [Int64])
    case matrix(ONNXTensorHeader, EmbeddingMatrix)
    /// The parameters of the network's node of that index.
    case layer(Int, weights: ONNXTensorHeader, bias: ONNXTensorHeader)

    var encodedCount: Int {
      switch self {
      case .floats(let header, _), .integers(let header, _), .matrix(let header, _): header.encodedCount
      case .layer(_, let weights, let bias): weights.encodedCount + bias.encodedCount
      }
    }
  }

  private(set) var nodes: [Onnx_NodeProto] = []
  private(set) var constants: [Constant] = []
  /// Length of the embedding, after all transforms.
  private(set) var dimension: Int
  private let weightType: ONNXExportOptions.WeightType
  private var names: Set = [inputName, outputName]
  private var values: [FoldedNetwork.Value: Tensor] = [:]

  /// A tensor of the graph: a map `[batch, channels, height, width]`, or vectors `[batch, channels]`.
  private struct Tensor {
    var name: String
    var isMap: Bool
  }

  /// Throws ``SimilarityError/Code/dimensionMismatch`` where a projection is not for vectors of the length that comes to it.
  init(_ network: FoldedNetwork, _ options: ONNXExportOptions) throws(SimilarityError) {
    weightType = options.weightType
    dimension = network.dimension
    values[network.input] = Tensor(name: preprocess(network.preprocessing), isMap: true)
    for (index, node) in network.nodes.enumerated() { values[node.output] = add(node, at: index) }
    var embedding = vectors(network.output)
    for transform in options.transforms { embedding = try add(transform, embedding) }
    nodes[nodes.count - 1].output = [Self.outputName]
  }

  // MARK: Preprocessing

  /// Bytes `[batch, height, width, 3]`, red first, to what the first layer takes.
  private mutating func preprocess(_ preprocessing: Preprocessing) -> String {
    let (scale, shift) = preprocessing.scaleAndShift
    var x = operation("Cast", [Self.inputName], "image/float", [.int("to", Int(ONNXElementType.float.rawValue))])
    x = operation("Transpose", [x], "image/channels_first", [.ints("perm", [0, 3, 1, 2])])
    if preprocessing.isBGR {
      x = operation("Gather", [x, constant("image/blue_first", [2, 1, 0])], "image/bgr", [.int("axis", 1)])
    }
    x = operation("Mul", [x, constant("image/scale", shape: [3, 1, 1], scale)], "image/scaled")
    return operation("Add", [x, constant("image/shift", shape: [3, 1, 1], shift)], "image/preprocessed")
  }

  // MARK: Layers

  private mutating func add(_ node: FoldedNetwork.Node, at index: Int) -> Tensor {
    switch node.operation {
    case .convolution(let window, let groups, let limits, let residual):
      let attributes = Self.attributes(window) + [.int("group", groups)]
      let isLast = limits == nil && residual == nil
      var x = operation(
        "Conv", [map(node.inputs[0])] + layer(node, at: index), isLast ? node.name : "\(node.name)/conv", attributes)
      if let residual {
        x = operation("Add", [x, map(residual)], limits == nil ? node.name : "\(node.name)/sum")
      }
      if let limits { x = clamp(x, limits, node.name) }
      return Tensor(name: x, isMap: true)
    case .maxPool(let window):
      return Tensor(
        name: operation("MaxPool", [map(node.inputs[0])], node.name, Self.attributes(window)), isMap: true)
    case .concatenation:
      let parts = node.inputs.map { map($0) }
      return Tensor(name: operation("Concat", parts, node.name, [.int("axis", 1)]), isMap: true)
    case .globalAveragePool:
      return Tensor(name: operation("GlobalAveragePool", [map(node.inputs[0])], node.name), isMap: true)
    case .linear:
      let inputs = [vectors(node.inputs[0])] + layer(node, at: index)
      return Tensor(name: operation("Gemm", inputs, node.name, [.int("transB", 1)]), isMap: false)
    }
  }

  private static func attributes(_ window: FoldedNetwork.Window) -> [Onnx_AttributeProto] {
    [
      .ints("kernel_shape", [window.kernelHeight, window.kernelWidth]),
      .ints("strides", [window.strideHeight, window.strideWidth]),
      .ints("pads", [window.padTop, window.padLeft, window.padBottom, window.padRight]),
    ]
  }

  private mutating func clamp(_ x: String, _ limits: FoldedNetwork.Limits, _ name: String) -> String {
    if limits.low == 0, limits.high == .infinity { return operation("Relu", [x], name) }
    var inputs = [x, ""]
    if limits.low > -.infinity { inputs[1] = constant("\(name)/low", shape: [], [limits.low]) }
    if limits.high < .infinity { inputs.append(constant("\(name)/high", shape: [], [limits.high])) }
    return operation("Clip", inputs, name)
  }

  /// The names of a layer's weights and bias, as single precision.
  private mutating func layer(_ node: FoldedNetwork.Node, at index: Int) -> [String] {
    guard let shape = node.weightShape else { preconditionFailure("\(node.name) has weights") }
    let type: ONNXElementType = weightType == .float16 ? .float16 : .float
    let weights = ONNXTensorHeader(unused("\(node.name).weight"), shape: shape, type)
    let bias = ONNXTensorHeader(unused("\(node.name).bias"), shape: [node.output.channels], .float)
    constants.append(.layer(index, weights: weights, bias: bias))
    let name =
      type == .float
      ? weights.name
      : operation(
        "Cast", [weights.name], "\(node.name).weight/float", [.int("to", Int(ONNXElementType.float.rawValue))])
    return [name, bias.name]
  }

  /// The name of a value as a map.
  private mutating func map(_ value: FoldedNetwork.Value) -> String {
    var tensor = tensor(value)
    if !tensor.isMap {
      tensor.name = operation(
        "Unsqueeze", [tensor.name, constant("\(tensor.name)/axes", [2, 3])], "\(tensor.name)/map")
    }
    return tensor.name
  }

  /// The name of a value of one pixel as vectors.
  private mutating func vectors(_ value: FoldedNetwork.Value) -> String {
    let tensor = tensor(value)
    return tensor.isMap ? operation("Flatten", [tensor.name], "\(tensor.name)/vector") : tensor.name
  }

  private func tensor(_ value: FoldedNetwork.Value) -> Tensor {
    guard let tensor = values[value] else { preconditionFailure("a layer reads what was computed before it") }
    return tensor
  }

  // MARK: Transforms

  private mutating func add(_ transform: EmbeddingTransform, _ x: String) throws(SimilarityError) -> String {
    switch transform {
    case .normalization:
      var length = operation("ReduceL2", [x], "normalization/length", [.ints("axes", [1])])
      let least = constant("normalization/least", shape: [], [.leastNormalMagnitude])
      length = operation("Max", [length, least], "normalization/divisor")
      return operation("Div", [x, length], "normalization")
    case .projection(let projection):
      guard projection.matrix.dimension == dimension else {
        throw SimilarityError(
          .dimensionMismatch,
          "a projection of \(projection.matrix.dimension)-d vectors cannot follow an embedding of \(dimension) elements"
        )
      }
      dimension = projection.matrix.rows
      let matrix = ONNXTensorHeader(
        unused("projection.matrix"), shape: [projection.matrix.rows, projection.matrix.dimension], .float)
      constants.append(.matrix(matrix, projection.matrix))
      let bias = constant("projection.bias", shape: [dimension], projection.bias)
      return operation("Gemm", [x, matrix.name, bias], "projection", [.int("transB", 1)])
    }
  }

  // MARK: Nodes and constants

  /// Adds a node, and returns the name of its output, which is `name` where that is free.
  private mutating func operation(
    _ type: String, _ inputs: [String], _ name: String, _ attributes: [Onnx_AttributeProto] = []
  ) -> String {
    let name = unused(name)
    var node = Onnx_NodeProto()
    node.opType = type
    node.name = name
    node.input = inputs
    node.output = [name]
    node.attribute = attributes
    nodes.append(node)
    return name
  }

  private mutating func constant(_ name: String, shape: [Int], _ values: [Float]) -> String {
    let header = ONNXTensorHeader(unused(name), shape: shape, .float)
    constants.append(.floats(header, values))
    return header.name
  }

  private mutating func constant(_ name: String, _ values: [Int64]) -> String {
    let header = ONNXTensorHeader(unused(name), shape: [values.count], .int64)
    constants.append(.integers(header, values))
    return header.name
  }

  private mutating func unused(_ name: String) -> String {
    var (free, number) = (name, 2)
    while !names.insert(free).inserted {
      free = "\(name)/\(number)"
      number += 1
    }
    return free
  }
}

extension Onnx_AttributeProto {
  fileprivate static func int(_ name: String, _ value: Int) -> Self {
    var attribute = Self()
    attribute.name = name
    attribute.type = .int
    attribute.i = Int64(value)
    return attribute
  }

  fileprivate static func ints(_ name: String, _ values: [Int]) -> Self {
    var attribute = Self()
    attribute.name = name
    attribute.type = .ints
    attribute.ints = values.map(Int64.init)
    return attribute
  }
}
