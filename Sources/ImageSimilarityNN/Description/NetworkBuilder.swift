package import ImageSimilarityCore

/// Records a convolutional network, layer by layer, together with the tensors that it needs.
///
/// Activations are `[height, width, channels]`. Each layer returns the ``Value`` that it computes; a layer's name is the
/// prefix of its tensors' names, so a network written with a framework's names reads that framework's files:
///
/// ```swift
/// let x = network.convolution(
///   network.input, "conv1", channels: 64, kernel: 7, stride: 2, padding: .symmetric(3), normalization: .init("bn1"),
///   activation: .relu)
/// ```
///
/// Layers that contradict each other (a residual of another shape, say) are mistakes in the description and trap.
public struct NetworkBuilder: Sendable {
  /// An activation tensor: the input, or the result of a layer.
  public struct Value: Sendable, Hashable {
    let id: Int
    public let height: Int
    public let width: Int
    public let channels: Int

    public var shape: [Int] { [height, width, channels] }
  }

  /// What a layer does to its result, element by element.
  public enum Activation: Sendable, Hashable {
    case none
    /// `max(0, x)`
    case relu
    /// `min(max(0, x), 6)`
    case relu6
    /// `min(max(low, x), high)`; a limit may be infinite.
    case clamp(low: Float, high: Float)

    package var limits: (low: Float, high: Float) {
      switch self {
      case .none: (-.infinity, .infinity)
      case .relu: (0, .infinity)
      case .relu6: (0, 6)
      case .clamp(let low, let high): (low, high)
      }
    }
  }

  /// Zeros around a convolution's input.
  public enum Padding: Sendable, Hashable {
    /// The same number on each side (PyTorch).
    case symmetric(Int)
    /// As many as give `ceil(size / stride)` outputs, the odd one at the bottom and right (TensorFlow's "SAME").
    case same
  }

  /// Batch normalisation after a convolution; reads `NAME.weight`, `.bias`, `.running_mean` and `.running_var`.
  public struct Normalization: Sendable, Hashable {
    public var name: String
    public var epsilon: Double

    public init(_ name: String, epsilon: Double = 1e-5) {
      self.name = name
      self.epsilon = epsilon
    }
  }

  /// How a convolution's filters see the channels.
  public enum Grouping: Sendable, Hashable {
    /// Each filter sees all channels; the weight is `[channels, input channels, kernel, kernel]`.
    case dense
    /// One filter a channel; the weight is `[channels, 1, kernel, kernel]`.
    case depthwise
    /// Channels and filters in so many groups, the filters of each seeing its channels alone; the weight is
    /// `[channels, input channels / groups, kernel, kernel]`.
    case groups(Int)

    var isGrouped: Bool { groups > 1 }

    /// 1 but for ``groups(_:)``.
    var groups: Int {
      if case .groups(let groups) = self { groups } else { 1 }
    }
  }

  package struct ConvolutionLayer: Sendable {
    package var name: String
    package var grouping: Grouping
    package var window: Window
    package var hasBias: Bool
    package var normalization: Normalization?
    package var activation: Activation
    package var residual: Value?
    /// Whether the weight is that of a linear layer, `[channels, input channels]`.
    package var isLinear = false

    package func channelsPerGroup(of input: Value) -> Int {
      switch grouping {
      case .dense: input.channels
      case .depthwise: 1
      case .groups(let groups): input.channels / groups
      }
    }
  }

  package enum Layer: Sendable {
    case convolution(ConvolutionLayer)
    case maxPool(Window)
    case concatenate
    case globalAveragePool
    case linear(name: String)
    /// An operation on tensors of any shape.
    case tensor(TensorLayer)
    /// Numbers that the caller gives, in place of a picture.
    case argument(Int)
  }

  package struct Node: Sendable {
    package var layer: Layer
    package var inputs: [Value]
    package var output: Value
  }

  /// The picture: `[height, width, 3]`, preprocessed.
  public let input: Value
  package private(set) var nodes: [Node] = []
  /// How the values' memory may be looked at; see ``Tensor``.
  package var storage = ValueStorage()

  package init(inputSize: PixelSize) {
    input = Value(id: 0, height: inputSize.height, width: inputSize.width, channels: 3)
  }

  // MARK: Layers

  /// A convolution with square filters, then batch normalisation, then `residual` is added, then the activation.
  ///
  /// Reads `NAME.weight`, and `NAME.bias` where `bias` is true.
  public mutating func convolution(
    _ x: Value, _ name: String, channels: Int, kernel: Int, stride: Int = 1, padding: Padding = .symmetric(0),
    grouping: Grouping = .dense, bias: Bool = false, normalization: Normalization? = nil,
    activation: Activation = .none, adding residual: Value? = nil
  ) -> Value {
    precondition(
      grouping != .depthwise || channels == x.channels, "\(name): a depthwise convolution keeps the channels")
    if case .groups(let groups) = grouping {
      precondition(
        groups > 0 && x.channels % groups == 0 && channels % groups == 0,
        "\(name): \(x.channels) channels and \(channels) filters are not made of \(groups) groups")
    }
    let window = Window(kernel: kernel, stride: stride, padding: padding, over: x)
    return convolution(
      x,
      ConvolutionLayer(
        name: name, grouping: grouping, window: window, hasBias: bias, normalization: normalization,
        activation: activation, residual: residual),
      filters: channels)
  }

  mutating func convolution(_ x: Value, _ layer: ConvolutionLayer, filters: Int) -> Value {
    let (height, width) = layer.window.outputSize(over: x)
    if let residual = layer.residual {
      precondition(
        residual.shape == [height, width, filters],
        "\(layer.name): the residual is \(residual.shape), the convolution gives \([height, width, filters])")
    }
    if layer.window.reachesOver(x) { storage.needBorder(x) }
    return append(
      .convolution(layer), [x] + (layer.residual.map { [$0] } ?? []), height: height, width: width, channels: filters)
  }

  /// The largest element of each window; positions outside the picture are left out.
  ///
  /// - Parameter ceilMode: keep a last window that reaches over the edge (PyTorch's `ceil_mode`).
  public mutating func maxPool(
    _ x: Value, kernel: Int, stride: Int, padding: Int = 0, ceilMode: Bool = false
  ) -> Value {
    func padAfter(_ size: Int) -> Int {
      let span = size + 2 * padding - kernel
      precondition(span >= 0, "a pool of \(kernel) does not fit \(size) pixels")
      var count = (ceilMode ? span + stride - 1 : span) / stride + 1
      // A window that would start beyond the picture and its left padding sees nothing.
      if (count - 1) * stride >= size + padding { count -= 1 }
      return (count - 1) * stride + kernel - size - padding
    }
    return maxPool(
      x,
      Window(
        kernel: Extent(kernel), stride: Extent(stride), padTop: padding, padLeft: padding,
        padBottom: padAfter(x.height), padRight: padAfter(x.width)))
  }

  mutating func maxPool(_ x: Value, _ window: Window) -> Value {
    let (height, width) = window.outputSize(over: x)
    return append(.maxPool(window), [x], height: height, width: width, channels: x.channels)
  }

  /// The channels of all values, one after the other. A value can be part of one concatenation only.
  public mutating func concatenate(_ values: [Value]) -> Value {
    precondition(
      Set(values.map { [$0.height, $0.width] }).count == 1, "concatenated values have one height and one width")
    for value in values {
      precondition(value.id != input.id, "the input cannot be part of a concatenation")
      for case (.concatenate, let inputs) in nodes.map({ ($0.layer, $0.inputs) }) {
        precondition(!inputs.contains(value), "a value can be part of one concatenation only")
      }
    }
    storage.share(values)
    let result = append(
      .concatenate, values, height: values[0].height, width: values[0].width,
      channels: values.reduce(0) { $0 + $1.channels })
    storage.share([result])
    return result
  }

  /// The mean over all pixels: `[1, 1, channels]`.
  public mutating func globalAveragePool(_ x: Value) -> Value {
    append(.globalAveragePool, [x], height: 1, width: 1, channels: x.channels)
  }

  /// A fully connected layer with bias over a `[1, 1, channels]` value.
  ///
  /// Reads `NAME.weight`, `[features, channels]`, and `NAME.bias`.
  public mutating func linear(_ x: Value, _ name: String, features: Int) -> Value {
    precondition(x.height == 1 && x.width == 1, "\(name): a linear layer takes a vector, not \(x.shape)")
    return append(.linear(name: name), [x], height: 1, width: 1, channels: features)
  }

  mutating func append(_ layer: Layer, _ inputs: [Value], height: Int, width: Int, channels: Int) -> Value {
    precondition(
      height > 0 && width > 0 && channels > 0, "the network does not fit pictures as small as \(input.shape)")
    let output = Value(id: nodes.count + 1, height: height, width: width, channels: channels)
    nodes.append(Node(layer: layer, inputs: inputs, output: output))
    return output
  }
}
