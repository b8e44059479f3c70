internal import CSimilarityKernels
internal import ImageSimilarityCore

/// A network ready to run: immutable, shared by all workers.
///
/// Batch normalisation is folded into the weights, activations and residual additions into the convolution before them, and
/// every activation tensor has its place in one arena that a worker allocates once.
final class NetworkPlan: Sendable {
  /// A convolution's weights, `[kernel * kernel * channels, filters]`, and where its operands are.
  struct Convolution: Sendable {
    var window: Window
    var filters: Int
    var input: Slot
    var output: Slot
    var residual: Slot?
    var weights: Int
    var bias: Int
    var activation: imsim_activation
    /// Output rows whose windows are laid out side by side before each product; 0 where the input is that matrix already.
    var rowsPerProduct: Int
  }

  struct Depthwise: Sendable {
    var window: Window
    var input: Slot
    var output: Slot
    /// `[kernel * kernel, channels]`
    var weights: Int
    var bias: Int
    var activation: imsim_activation
  }

  struct Linear: Sendable {
    var features: Int
    var channels: Int
    var input: Slot
    var output: Slot
    /// `[features, channels]`
    var weights: Int
    var bias: Int
  }

  enum Step: Sendable {
    case convolution(Convolution)
    case depthwise(Depthwise)
    case maxPool(Window, input: Slot, output: Slot)
    case globalAveragePool(pixels: Int, channels: Int, input: Slot, output: Slot)
    case linear(Linear)
  }

  /// Where a tensor lies in the arena: the first float, and the distance between neighbouring pixels.
  struct Slot: Sendable {
    var offset: Int
    var pixelStride: Int
  }

  struct Window: Sendable {
    var inHeight: Int
    var inWidth: Int
    var channels: Int
    var kernel: Int
    var stride: Int
    var padTop: Int
    var padLeft: Int
    var outHeight: Int
    var outWidth: Int

    func kernelWindow(_ input: Slot, _ output: Slot) -> imsim_window {
      imsim_window(
        in_height: Int32(inHeight), in_width: Int32(inWidth), channels: Int32(channels), in_stride: input.pixelStride,
        kernel: Int32(kernel), stride: Int32(stride), pad_top: Int32(padTop), pad_left: Int32(padLeft),
        out_height: Int32(outHeight), out_width: Int32(outWidth), out_stride: output.pixelStride)
    }
  }

  let inputSize: PixelSize
  let preprocessing: Preprocessing
  let steps: [Step]
  let input: Slot
  let output: Slot
  /// Length of the embedding.
  let dimension: Int
  /// Floats of a worker's arena: activations, then the windows of a convolution.
  let arenaCount: Int
  let columnsOffset: Int
  let constants: Constants

  /// `@unchecked Sendable`: nobody writes to the memory once the plan is made.
  struct Constants: @unchecked Sendable {
    let memory: AlignedFloats
  }

  /// Prepares the network between the picture and `layer`.
  ///
  /// Throws ``SimilarityError/Code/weightsMismatch`` where the tensors are not exactly those of the network.
  init(
    _ backbone: any Backbone, layer: EmbeddingLayer, parameters: NetworkParameters, preprocessing: Preprocessing
  ) throws(SimilarityError) {
    var network = NetworkBuilder(inputSize: backbone.inputSize)
    let outputs = backbone.build(&network)
    guard let target = layer == .pooled ? outputs.pooled : outputs.scores else {
      throw SimilarityError(.invalidArgument, "\(backbone.name) has no layer '\(layer.rawValue)'")
    }
    precondition(target.height == 1 && target.width == 1, "\(backbone.name): the embedding is a vector")
    let nodes = Self.nodes(of: network, leadingTo: target)
    try parameters.check(nodes: nodes, allNodes: network.nodes, backbone: backbone.name, layer: layer)

    let arena = ArenaLayout(input: network.input, nodes: nodes, output: target)
    var compiler = PlanCompiler(arena: arena, parameters: parameters)
    for node in nodes { try compiler.append(node) }

    self.inputSize = backbone.inputSize
    self.preprocessing = preprocessing
    self.steps = compiler.steps
    self.input = arena.slot(network.input)
    self.output = arena.slot(target)
    self.dimension = target.channels
    self.columnsOffset = arena.count
    self.arenaCount = arena.count + compiler.columnCount
    self.constants = Constants(memory: compiler.packedConstants())
  }

  /// The layers that `target` depends on, in the order in which they run.
  private static func nodes(
    of network: NetworkBuilder, leadingTo target: NetworkBuilder.Value
  ) -> [NetworkBuilder.Node] {
    var needed: Set = [target]
    var nodes: [NetworkBuilder.Node] = []
    for node in network.nodes.reversed() where needed.contains(node.output) {
      needed.formUnion(node.inputs)
      nodes.append(node)
    }
    return nodes.reversed()
  }
}
