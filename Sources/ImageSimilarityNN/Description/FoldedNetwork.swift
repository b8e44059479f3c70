package import ImageSimilarityCore

/// A network as an exporter writes it: the layers from the picture to the embedding, in the order in which they run, and
/// their weights with batch normalisation folded in.
///
/// It has the layers that files for other programs have, and no others. Weights are read and folded when they are asked for,
/// layer by layer, so an exporter never needs more than one layer's in memory.
package struct FoldedNetwork: Sendable {
  /// An activation tensor, `[height, width, channels]`.
  package struct Value: Sendable, Hashable {
    /// 0 is the picture; others are numbered in the order in which they are computed.
    package let id: Int
    package let height: Int
    package let width: Int
    package let channels: Int

    package var shape: [Int] { [height, width, channels] }
  }

  /// Where the windows of a convolution or pool lie. The padding after the last pixel is just what the last window needs, or
  /// none, so the output's size is the one that rounds down.
  package struct Window: Sendable, Hashable {
    package var kernelHeight: Int
    package var kernelWidth: Int
    package var strideHeight: Int
    package var strideWidth: Int
    package var padTop: Int
    package var padLeft: Int
    package var padBottom: Int
    package var padRight: Int
  }

  package enum Operation: Sendable, Hashable {
    /// A convolution, then the value `residual` is added, then what lies outside `limits` becomes the nearest of them.
    ///
    /// `groups` is the number of channels where the convolution is depthwise.
    case convolution(Window, groups: Int, limits: Limits?, residual: Value?)
    /// The largest element of each window; positions outside the picture are left out.
    case maxPool(Window)
    /// The channels of all inputs, one after the other.
    case concatenation
    /// The mean over all pixels.
    case globalAveragePool
    /// A fully connected layer with bias, over a vector.
    case linear
  }

  /// What an activation function keeps: ReLU is from 0 to infinity.
  package struct Limits: Sendable, Hashable {
    package var low: Float
    package var high: Float
  }

  package struct Node: Sendable, Hashable {
    /// The layer's name in the weights file where it has weights, or one made of its kind and number. No other node has it.
    package let name: String
    package let operation: Operation
    /// Without the residual.
    package let inputs: [Value]
    package let output: Value

    /// The shape of its weights, nil where it has none: `[filters, channels / groups, kernel height, kernel width]`, or
    /// `[features, channels]`.
    package var weightShape: [Int]? {
      switch operation {
      case .convolution(let window, let groups, _, _):
        [output.channels, inputs[0].channels / groups, window.kernelHeight, window.kernelWidth]
      case .linear: [output.channels, inputs[0].channels]
      case .maxPool, .concatenation, .globalAveragePool: nil
      }
    }
  }

  /// A layer's parameters, all of them finite.
  package struct Weights: Sendable {
    /// ``Node/weightShape``
    package let shape: [Int]
    /// Row-major.
    package let values: [Float]
    /// One for each filter or feature.
    package let bias: [Float]
  }

  /// The architecture's name.
  package let architecture: String
  package let preprocessing: Preprocessing
  /// The picture, `[height, width, 3]`, preprocessed.
  package let input: Value
  package let nodes: [Node]
  /// The embedding, `[1, 1, dimension]`.
  package let output: Value

  package var dimension: Int { output.channels }

  private let parameters: NetworkParameters
  private let sources: [NetworkBuilder.Node]

  /// Reads no weights yet.
  ///
  /// - Parameters:
  ///   - layer: The layer that the embedding is read from.
  ///   - preprocessing: What the weights expect of pixels; the backbone's usual one where nil.
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where the tensors are not those of the network;
  ///   ``SimilarityError/Code/invalidArgument`` where it has no such layer, or layers of other kinds lead to it.
  package init(
    _ backbone: any Backbone, weights: any WeightSource, layer: EmbeddingLayer = .pooled,
    preprocessing: Preprocessing? = nil
  ) throws(SimilarityError) {
    parameters = NetworkParameters(file: weights)
    let path = try NetworkPath(backbone, layer: layer, parameters: parameters)
    architecture = backbone.name
    self.preprocessing = preprocessing ?? backbone.preprocessing
    input = Value(path.input, id: 0)
    sources = path.nodes

    var values = [path.input: input]
    var names: Set<String> = []
    var nodes: [Node] = []
    for source in sources {
      let output = Value(source.output, id: nodes.count + 1)
      func value(_ original: NetworkBuilder.Value) -> Value {
        guard let value = values[original] else { preconditionFailure("a layer reads what was computed before it") }
        return value
      }
      var (name, inputs) = ("", source.inputs)
      let operation: Operation
      switch source.layer {
      case .convolution(let layer):
        name = layer.name
        inputs = [source.inputs[0]]
        operation = .convolution(
          try Window(layer.window, over: source.inputs[0], name),
          groups: source.inputs[0].channels / layer.channelsPerGroup(of: source.inputs[0]),
          limits: layer.activation == .none ? nil : Limits(layer.activation.limits), residual: layer.residual.map(value)
        )
      case .maxPool(let window):
        name = "maxpool.\(output.id)"
        operation = .maxPool(try Window(window, over: source.inputs[0], name))
      case .concatenate:
        name = "concat.\(output.id)"
        operation = .concatenation
      case .globalAveragePool:
        name = "avgpool.\(output.id)"
        operation = .globalAveragePool
      case .linear(let layerName):
        name = layerName
        operation = .linear
      case .tensor(let layer):
        throw Self.unsupported("the operation '\(layer.name)', its layer number \(output.id)", architecture)
      case .argument:
        throw Self.unsupported("an input that is no picture", architecture)
      }
      // Layers that share weights share a name.
      if !names.insert(name).inserted { name += ".\(output.id)" }
      nodes.append(Node(name: name, operation: operation, inputs: inputs.map(value), output: output))
      values[source.output] = output
    }
    guard let output = values[path.output] else { preconditionFailure("the last layer gives the embedding") }
    self.nodes = nodes
    self.output = output
  }

  private static func unsupported(_ what: String, _ architecture: String) -> SimilarityError {
    SimilarityError(
      .invalidArgument,
      "\(architecture) cannot be exported: it has \(what); convolutions, maximum pools, concatenations, global average pools and "
        + "linear layers can be")
  }

  /// The weights of the node at `index`; nil where it has none.
  ///
  /// Normalisation is folded in double precision and the result rounded once, as ``NetworkExtractor`` does.
  ///
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where they are not finite, or their normalisation makes them so.
  /// - Complexity: O(weights of the node), every time.
  package func weights(at index: Int) throws(SimilarityError) -> Weights? {
    guard let shape = nodes[index].weightShape else { return nil }
    let source = sources[index]
    switch source.layer {
    case .convolution(let layer):
      let (factors, bias) = try parameters.affine(of: layer, filters: source.output.channels)
      var values = try parameters.tensor("\(layer.name).weight")
      let count = values.count / factors.count
      for (filter, factor) in factors.enumerated() where factor != 1 {
        for i in filter * count..<(filter + 1) * count { values[i] = Float(Double(values[i]) * factor) }
      }
      try parameters.checkFolded(values, of: layer)
      try parameters.checkFolded(bias, of: layer)
      return Weights(shape: shape, values: values, bias: bias)
    case .linear(let name):
      return Weights(
        shape: shape, values: try parameters.tensor("\(name).weight"),
        bias: try parameters.tensor("\(name).bias"))
    case .maxPool, .concatenate, .globalAveragePool, .tensor, .argument:
      return nil
    }
  }
}

extension FoldedNetwork.Value {
  fileprivate init(_ value: NetworkBuilder.Value, id: Int) {
    self.init(id: id, height: value.height, width: value.width, channels: value.channels)
  }
}

extension FoldedNetwork.Window {
  fileprivate init(
    _ window: NetworkBuilder.Window, over input: NetworkBuilder.Value, _ name: String
  ) throws(SimilarityError) {
    guard window.dilation == NetworkBuilder.Extent(1) else {
      throw SimilarityError(.invalidArgument, "'\(name)' cannot be exported: its window is dilated")
    }
    let overhang = window.overhang(over: input)
    self.init(
      kernelHeight: window.kernel.height, kernelWidth: window.kernel.width, strideHeight: window.stride.height,
      strideWidth: window.stride.width, padTop: overhang.top, padLeft: overhang.left, padBottom: overhang.bottom,
      padRight: overhang.right)
  }
}

extension FoldedNetwork.Limits {
  fileprivate init(_ limits: (low: Float, high: Float)) {
    self.init(low: limits.low, high: limits.high)
  }
}
