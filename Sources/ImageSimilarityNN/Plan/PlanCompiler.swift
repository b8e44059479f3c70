internal import CSimilarityKernels
internal import ImageSimilarityCore

/// Lowers layers to steps: chooses how each is computed, when it runs and where its tensors lie, and packs its weights.
struct PlanCompiler {
  let input: NetworkBuilder.Value
  private let nodes: [NetworkBuilder.Node]
  let parameters: NetworkParameters
  let preprocessing: Preprocessing
  private let element: Element
  let quantizations: [NetworkBuilder.Value: Quantization]
  private let algorithms: [ConvolutionAlgorithm]
  private let schedule: Schedule
  private let roots: Roots
  let arena: ArenaLayout
  /// What steps need beside the activations, for as long as they run; it lies behind them.
  private(set) var scratchBytes = 0
  private(set) var constants = AlignedBytes(count: 0)
  private var constantBytes = 0
  /// Where the weights' tensors that tensor layers read lie among the constants, and tables of theirs.
  var tensorConstants: [String: Int] = [:]
  var indexTables: [(offset: Int, values: [Int32])] = []
  var weightTables: [(offset: Int, values: [Float])] = []

  init(
    input: NetworkBuilder.Value, nodes: [NetworkBuilder.Node], storage: NetworkBuilder.ValueStorage,
    output: NetworkBuilder.Value, parameters: NetworkParameters, preprocessing: Preprocessing, element: Element,
    calibration: Calibration?
  ) throws(SimilarityError) {
    self.input = input
    self.nodes = nodes
    self.parameters = parameters
    self.preprocessing = preprocessing
    self.element = element
    if element == .u8 {
      guard let calibration else { preconditionFailure("int8 has a calibration") }
      quantizations = try Quantization.assign(nodes: nodes, calibration: calibration)
    } else {
      quantizations = [:]
    }

    // Vectors are fp32, as are layers that read them.
    var vectors: Set<NetworkBuilder.Value> = []
    for node in nodes {
      switch node.layer {
      case .globalAveragePool, .argument: vectors.insert(node.output)
      case .linear, .convolution, .maxPool, .concatenate:
        if vectors.contains(node.inputs[0]) { vectors.insert(node.output) }
      case .tensor:
        if vectors.isSuperset(of: node.inputs) { vectors.insert(node.output) }
      }
    }
    let elements = { (value: NetworkBuilder.Value) in vectors.contains(value) ? Element.fp32 : element }

    roots = Roots(nodes: nodes, elements: elements)
    algorithms = nodes.map { Self.algorithm(for: $0, element: elements($0.output)) }
    schedule = Schedule(
      input: input, nodes: nodes,
      costs: zip(nodes, algorithms).map { Self.cost(of: $0, $1, elements: elements) })
    arena = ArenaLayout(
      input: input, nodes: nodes, dense: storage.dense, output: output, schedule: schedule, elements: elements)
    if element != .fp32 { try checkReduced(output: output) }
  }

  /// Throws where a network needs what the reduced precisions do not have.
  private func checkReduced(output: NetworkBuilder.Value) throws(SimilarityError) {
    func fail(_ reason: String) -> SimilarityError {
      SimilarityError(.invalidArgument, "this network runs in fp32 alone: \(reason)")
    }
    guard arena.slot(output).element == .fp32 else {
      throw fail("its embedding comes without a global average pool before it")
    }
    for node in nodes {
      switch node.layer {
      case .concatenate:
        for part in node.inputs.dropLast() where part.channels % element.unit != 0 {
          throw fail("it concatenates \(part.channels) channels, and only multiples of \(element.unit) can be")
        }
      case .linear where arena.slot(node.inputs[0]).element != .fp32:
        throw fail("a linear layer comes without a global average pool before it")
      case .tensor(let layer) where arena.slot(node.output).element != .fp32:
        throw fail("it has the operation '\(layer.name)' on maps")
      case .convolution(let layer) where layer.grouping.isGrouped && arena.slot(node.output).element != .fp32:
        throw fail("'\(layer.name)' is a convolution in groups")
      case .convolution(let layer) where element == .u8 && layer.grouping == .dense && layer.residual != input:
        break  // A picture's bytes, each channel with a zero point of its own, are for these.
      default:
        guard element != .u8 || !node.inputs.contains(input) else {
          throw fail("something else than a dense convolution reads the picture")
        }
      }
    }
  }

  // MARK: Choices

  private static func algorithm(for node: NetworkBuilder.Node, element: Element) -> ConvolutionAlgorithm {
    guard case .convolution(let layer) = node.layer, layer.grouping == .dense else { return .direct }
    return .fastest(node, window: layer.window, element: element)
  }

  private static func cost(
    of node: NetworkBuilder.Node, _ algorithm: ConvolutionAlgorithm, elements: (NetworkBuilder.Value) -> Element
  ) -> Schedule.Cost {
    func bytes(_ value: NetworkBuilder.Value) -> Int {
      value.height * value.width * value.channels * elements(value).size
    }
    var cost = Schedule.Cost(
      weights: 0, activations: (node.inputs.first.map(bytes) ?? 0) + bytes(node.output), output: bytes(node.output),
      rowStep: 1)
    switch node.layer {
    case .convolution where algorithm == .winograd:
      cost.weights = WinogradStep.positions * node.inputs[0].channels * node.output.channels * Element.fp32.size
      cost.rowStep = WinogradStep.tileOutputs
    case .convolution(let layer):
      cost.weights =
        layer.window.kernel.height * layer.window.kernel.width * layer.channelsPerGroup(of: node.inputs[0])
        * node.output.channels * elements(node.output).size
    case .linear:
      cost.weights = node.inputs[0].channels * node.output.channels * Element.fp32.size
    case .concatenate:
      cost.activations = 0  // The parts are computed in place.
    case .maxPool, .globalAveragePool, .argument:
      break
    case .tensor:
      cost.activations = node.inputs.reduce(bytes(node.output)) { $0 + bytes($1) }
    }
    return cost
  }

  // MARK: Steps

  /// Lays out all constants, then allocates them once and fills them layer by layer.
  mutating func compile() throws(SimilarityError) -> [NetworkPlan.Segment] {
    var steps: [Step?] = []
    for index in nodes.indices { steps.append(step(of: index)) }
    constants = AlignedBytes(count: constantBytes)
    try writeTensorConstants()
    for (node, step) in zip(nodes, steps) {
      guard let step else { continue }
      try pack(node, step)
    }
    return schedule.segments.map { segment in
      NetworkPlan.Segment(group: segment.group, blocks: segment.blocks.map { block($0, steps) })
    }
  }

  private func block(_ block: Schedule.Block, _ steps: [Step?]) -> NetworkPlan.Block {
    // A border is filled before the first layer that writes to its tensor.
    let first = block.nodes.lowerBound
    var written = Set(nodes[..<first].map { roots.root(of: $0.output).value })
    var borders: [NetworkPlan.BorderFill] = []
    for value in (first == 0 ? [input] : []) + nodes[block.nodes].map(\.output) {
      let root = roots.root(of: value).value
      guard written.insert(root).inserted, !arena.slot(root).border.isEmpty else { continue }
      borders.append(borderFill(root))
    }
    let tasks: [NetworkPlan.Task] = block.tasks.compactMap { task in
      guard task.node >= 0 else { return NetworkPlan.Task(step: inputStep(), rows: task.rows, observed: nil) }
      guard let step = steps[task.node] else { return nil }
      return NetworkPlan.Task(step: step, rows: task.rows, observed: observed(nodes[task.node]))
    }
    return NetworkPlan.Block(borders: borders, tasks: tasks, isPerPicture: block.isPerPicture)
  }

  private func borderFill(_ root: NetworkBuilder.Value) -> NetworkPlan.BorderFill {
    let slot = arena.slot(root)
    var fill = NetworkPlan.BorderFill(
      slot: slot, height: root.height, width: root.width, channels: roots.storedChannels(of: root),
      elementSize: slot.element.size, value: 0)
    if root == input, element == .u8 {
      // A picture's own bytes: each channel has a zero point of its own.
      let zeros = pixelZeros.map { UInt32(max(0, min(255, $0.rounded(.toNearestOrEven)))) }
      fill.value = zeros[0] | zeros[1] << 8 | zeros[2] << 16
      fill.channels = 1
      fill.elementSize = 4
    } else if let quantization = quantizations[root] {
      fill.value = UInt32(quantization.zero)
    }
    return fill
  }

  private func observed(_ node: NetworkBuilder.Node) -> NetworkPlan.Observed? {
    guard case .convolution(let layer) = node.layer, arena.slot(node.output).element == .fp32 else { return nil }
    return NetworkPlan.Observed(
      layer: layer.name, output: arena.slot(node.output), width: node.output.width, channels: node.output.channels)
  }

  private func inputStep() -> Step {
    let (scale, shift) = preprocessing.scaleAndShift
    return .input(
      InputStep(
        width: input.width, output: arena.slot(input), isReversed: preprocessing.isBGR, scale: scale, shift: shift))
  }

  private mutating func step(of index: Int) -> Step? {
    let node = nodes[index]
    let output = arena.slot(node.output)
    let input = node.inputs.first.map(arena.slot) ?? output
    switch node.layer {
    case .tensor(let layer):
      return .tensor(tensor(layer))
    case .argument(let index):
      return .argument(ArgumentStep(index: index, output: output))
    case .convolution(let layer) where layer.grouping == .depthwise:
      precondition(layer.residual == nil, "\(layer.name): nothing is added to a depthwise convolution")
      return .depthwise(depthwise(layer, node))
    case .convolution(let layer):
      return algorithms[index] == .winograd ? .winograd(winograd(layer, node)) : .convolution(convolution(layer, node))
    case .linear:
      return .convolution(linear(node))
    case .maxPool(let window):
      return .maxPool(MaxPoolStep(window: planWindow(window, node), input: input, output: output))
    case .globalAveragePool:
      return .average(
        AverageStep(
          height: node.inputs[0].height, width: node.inputs[0].width, channels: node.output.channels, input: input,
          output: output, quantization: quantizations[node.inputs[0]]))
    case .concatenate:
      return nil  // The parts are computed in place.
    }
  }

  private func planWindow(_ window: NetworkBuilder.Window, _ node: NetworkBuilder.Node) -> NetworkPlan.Window {
    guard let (kernel, stride) = window.square else { preconditionFailure("the window is square") }
    return NetworkPlan.Window(
      inHeight: node.inputs[0].height, inWidth: node.inputs[0].width,
      channels: arena.slot(node.output).element.storedChannels(node.inputs[0].channels), kernel: kernel,
      stride: stride, padTop: window.padTop, padLeft: window.padLeft, outHeight: node.output.height,
      outWidth: node.output.width)
  }

  private mutating func convolution(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node
  ) -> ConvolutionStep {
    let (input, output) = (arena.slot(node.inputs[0]), arena.slot(node.output))
    let element = input.element
    let groups = stepGroups(layer.grouping.groups, filters: node.output.channels)
    let channels = groups == 1 ? roots.storedChannels(of: node.inputs[0]) : node.inputs[0].channels / groups
    let window = layer.window
    let taps = window.kernel.height * window.kernel.width
    // The taps of a kernel row are neighbours in memory, unless pixels lie apart.
    let isDense = input.pixel == channels && window.dilation.width == 1
    let filters = element.storedChannels(node.output.channels / groups)
    let weightBytes = (packedBytes(element, taps: taps, channels: channels, filters: filters) + 63) / 64 * 64
    return ConvolutionStep(
      filters: filters, columns: node.output.width, isVector: node.output.height == 1 && node.output.width == 1,
      stride: window.stride, padTop: window.padTop, padLeft: window.padLeft, input: input, output: output,
      residual: layer.residual.map(arena.slot),
      taps: reserve((isDense ? window.kernel.height : taps) * MemoryLayout<Int>.stride),
      tapCount: isDense ? window.kernel.height : taps,
      run: (isDense ? window.kernel.width : 1) * channels / element.unit, groups: groups, groupChannels: channels,
      weights: reserve(weightBytes * groups), weightBytes: weightBytes, bias: reserveVector(filters, groups: groups),
      scale: reserveVector(filters, groups: groups), vectorBytes: vectorBytes(filters),
      clamp: clamp(layer.activation, node.output), residualScale: residualScale(layer, node.output))
  }

  /// Groups of few filters are computed together, as one product with zeros, as long as a vector holds the filters.
  private func stepGroups(_ groups: Int, filters: Int) -> Int {
    var count = groups
    while count > 1, count % 2 == 0, filters / count * 2 <= lanes { count /= 2 }
    return count
  }

  private mutating func linear(_ node: NetworkBuilder.Node) -> ConvolutionStep {
    let (channels, filters) = (node.inputs[0].channels, node.output.channels)
    let weightBytes = packedBytes(.fp32, taps: 1, channels: channels, filters: filters)
    return ConvolutionStep(
      filters: filters, columns: 1, isVector: true, stride: .init(1), padTop: 0, padLeft: 0,
      input: arena.slot(node.inputs[0]), output: arena.slot(node.output), residual: nil,
      taps: reserve(MemoryLayout<Int>.stride), tapCount: 1, run: channels, groups: 1, groupChannels: channels,
      weights: reserve(weightBytes), weightBytes: weightBytes, bias: reserveVector(filters),
      scale: reserveVector(filters), vectorBytes: vectorBytes(filters), clamp: clamp(.none, node.output),
      residualScale: 1)
  }

  private mutating func depthwise(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node
  ) -> DepthwiseStep {
    let window = planWindow(layer.window, node)
    let (kernel, channels) = (Int32(window.kernel), Int32(window.channels))
    let bytes =
      switch arena.slot(node.inputs[0]).element {
      case .fp32: imsim_spatial_depthwise_size_f32(kernel, channels) * MemoryLayout<Float>.stride
      case .bf16: imsim_spatial_depthwise_size_bf16(kernel, channels) * MemoryLayout<Float>.stride
      case .u8: imsim_spatial_depthwise_size_u8(kernel, channels)
      }
    return DepthwiseStep(
      window: window, input: arena.slot(node.inputs[0]), output: arena.slot(node.output), weights: reserve(bytes),
      bias: reserveVector(window.channels), scale: reserveVector(window.channels),
      clamp: clamp(layer.activation, node.output))
  }

  private mutating func winograd(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node
  ) -> WinogradStep {
    let (channels, filters) = (node.inputs[0].channels, node.output.channels)
    let positionBytes = packedBytes(.fp32, taps: 1, channels: channels, filters: filters)
    var step = WinogradStep(
      height: node.output.height, width: node.output.width, channels: channels, filters: filters,
      input: arena.slot(node.inputs[0]), output: arena.slot(node.output), residual: layer.residual.map(arena.slot),
      weights: reserve(WinogradStep.positions * positionBytes), positionBytes: positionBytes,
      bias: reserveVector(filters), zeros: reserveVector(filters), taps: reserve(MemoryLayout<Int>.stride),
      clamp: clamp(layer.activation, node.output), tilesPerBlock: 0, transformed: arena.count, products: 0)
    step.tilesPerBlock = tilesPerBlock(channels: channels, filters: filters)
    step.products = step.transformed + WinogradStep.positions * step.channelStride * MemoryLayout<Float>.stride
    _ = reserveScratch(step.scratchBytes)
    return step
  }

  /// As many tiles as an L2 cache holds before and after the products, or as are worth reading the weights for.
  private func tilesPerBlock(channels: Int, filters: Int) -> Int {
    let tileBytes = WinogradStep.positions * (channels + filters) * MemoryLayout<Float>.stride
    let fitting = (512 << 10) / tileBytes
    return max(fitting, channels * filters >= 128 * 128 ? 56 : 14) / 14 * 14
  }

  private func packedBytes(_ element: Element, taps: Int, channels: Int, filters: Int) -> Int {
    imsim_convolution_packed_size(element.kernel, lanes, taps, channels, filters)
  }

  var lanes: Int32 { unsafe Kernels.current.convolution.lanes }

  /// The limits of an activation function, in what the output's elements count.
  private func clamp(_ activation: NetworkBuilder.Activation, _ output: NetworkBuilder.Value) -> Clamp {
    let (low, high) = activation.limits
    guard let quantization = quantizations[output] else { return Clamp(low: low, high: high) }
    func quantized(_ x: Float) -> Float {
      max(0, min(255, (x / quantization.scale).rounded(.toNearestOrEven) + Float(quantization.zero)))
    }
    return Clamp(low: quantized(low), high: quantized(high))
  }

  private func residualScale(_ layer: NetworkBuilder.ConvolutionLayer, _ output: NetworkBuilder.Value) -> Float {
    guard let residual = layer.residual, let from = quantizations[residual], let to = quantizations[output] else {
      return 1
    }
    return from.scale / to.scale
  }

  // MARK: Constants

  /// The offset of `bytes` bytes, on a cache line.
  mutating func reserve(_ bytes: Int) -> Int {
    let offset = constantBytes
    constantBytes += (bytes + 63) / 64 * 64
    return offset
  }

  /// The offset of a float for each channel of each group, and for the rest of the last vector.
  mutating func reserveVector(_ channels: Int, groups: Int = 1) -> Int {
    reserve(vectorBytes(channels) * groups)
  }

  private func vectorBytes(_ channels: Int) -> Int {
    (channels + Int(lanes) - 1) / Int(lanes) * Int(lanes) * MemoryLayout<Float>.stride
  }

  /// Memory behind the activations, for as long as a step runs.
  mutating func reserveScratch(_ bytes: Int) -> Int {
    scratchBytes = max(scratchBytes, bytes)
    return arena.count
  }
}
