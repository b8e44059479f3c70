internal import CSimilarityKernels
internal import ImageSimilarityCore

/// Lowers layers to steps, and gathers their weights in the order in which the steps read them.
struct PlanCompiler {
  let arena: ArenaLayout
  let parameters: NetworkParameters
  private(set) var steps: [NetworkPlan.Step] = []
  /// Floats that the windows of the widest product take.
  private(set) var columnCount = 0
  private var constants: [Float] = []

  /// Windows laid out for one product stay within this, so that they are still in the L2 cache when they are read. Where the
  /// weights are larger than that they are the greater traffic, and the windows may take as much.
  private static let columnBytes = 512 << 10

  init(arena: ArenaLayout, parameters: NetworkParameters) {
    self.arena = arena
    self.parameters = parameters
  }

  mutating func append(_ node: NetworkBuilder.Node) throws(SimilarityError) {
    let input = arena.slot(node.inputs[0])
    let output = arena.slot(node.output)
    switch node.layer {
    case .convolution(let layer):
      try appendConvolution(layer, node, input, output)
    case .maxPool(let window):
      steps.append(.maxPool(planWindow(window, node), input: input, output: output))
    case .concatenate:
      break  // The parts were computed in place.
    case .globalAveragePool:
      steps.append(
        .globalAveragePool(
          pixels: node.inputs[0].height * node.inputs[0].width, channels: node.output.channels, input: input,
          output: output))
    case .linear(let name):
      let weights = store(try parameters.tensor("\(name).weight"))
      let bias = store(try parameters.tensor("\(name).bias"))
      steps.append(
        .linear(
          NetworkPlan.Linear(
            features: node.output.channels, channels: node.inputs[0].channels, input: input, output: output,
            weights: weights, bias: bias)))
    }
  }

  private mutating func appendConvolution(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node, _ input: NetworkPlan.Slot,
    _ output: NetworkPlan.Slot
  ) throws(SimilarityError) {
    let filters = node.output.channels
    let window = planWindow(layer.window, node)
    let (factors, bias) = try parameters.affine(of: layer, filters: filters)
    let taps = window.kernel * window.kernel
    let isDepthwise = layer.grouping == .depthwise
    let weights = Self.packed(
      try parameters.tensor("\(layer.name).weight"), filters: filters, channels: isDepthwise ? 1 : window.channels,
      taps: taps, factors: factors)
    let activation =
      switch layer.activation {
      case .none: IMSIM_ACTIVATION_NONE
      case .relu: IMSIM_ACTIVATION_RELU
      case .relu6: IMSIM_ACTIVATION_RELU6
      }

    if isDepthwise {
      precondition(layer.residual == nil, "\(layer.name): nothing is added to a depthwise convolution")
      let weightsOffset = store(weights)
      steps.append(
        .depthwise(
          NetworkPlan.Depthwise(
            window: window, input: input, output: output, weights: weightsOffset, bias: store(bias),
            activation: activation)))
      return
    }

    let depth = taps * window.channels
    let isMatrix = window.kernel == 1 && window.stride == 1 && window.padTop == 0 && window.padLeft == 0
    var rowsPerProduct = 0
    if !isMatrix {
      let rowFloats = window.outWidth * depth
      let limit = max(Self.columnBytes / MemoryLayout<Float>.stride, weights.count)
      rowsPerProduct = max(1, min(window.outHeight, limit / rowFloats))
      columnCount = max(columnCount, rowsPerProduct * rowFloats)
    }
    let weightsOffset = store(weights)
    steps.append(
      .convolution(
        NetworkPlan.Convolution(
          window: window, filters: filters, input: input, output: output, residual: layer.residual.map(arena.slot),
          weights: weightsOffset, bias: store(bias), activation: activation, rowsPerProduct: rowsPerProduct)))
  }

  private func planWindow(_ window: NetworkBuilder.Window, _ node: NetworkBuilder.Node) -> NetworkPlan.Window {
    NetworkPlan.Window(
      inHeight: node.inputs[0].height, inWidth: node.inputs[0].width, channels: node.inputs[0].channels,
      kernel: window.kernel, stride: window.stride, padTop: window.padTop, padLeft: window.padLeft,
      outHeight: node.output.height, outWidth: node.output.width)
  }

  /// `[filters, channels, taps]`, each filter times its factor, as `[taps, channels, filters]`.
  private static func packed(
    _ weights: [Float], filters: Int, channels: Int, taps: Int, factors: [Double]
  ) -> [Float] {
    precondition(weights.count == filters * channels * taps && factors.count == filters, "the shape was checked")
    return unsafe [Float](unsafeUninitializedCapacity: weights.count) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      unsafe imsim_pack_filters(weights, filters, channels, taps, factors, base)
      count = weights.count
    }
  }

  /// Returns the offset at which `values` lie, on a cache line.
  private mutating func store(_ values: [Float]) -> Int {
    constants.append(contentsOf: repeatElement(0, count: -constants.count & 15))
    let offset = constants.count
    constants.append(contentsOf: values)
    return offset
  }

  func packedConstants() -> AlignedFloats {
    let memory = AlignedFloats(count: constants.count)
    unsafe memory.start.update(from: constants, count: constants.count)
    return memory
  }
}
