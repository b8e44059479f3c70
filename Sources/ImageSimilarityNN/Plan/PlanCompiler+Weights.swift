internal import CSimilarityKernels
internal import ImageSimilarityCore
internal import ImageSimilarityFiles

extension PlanCompiler {
  /// A layer's weights with everything folded in that is constant: `[taps, channels, filters]`, and a bias for each filter.
  private struct FoldedWeights {
    var taps: Int
    var channels: Int
    var filters: Int
    var values: [Float]
    var bias: [Float]
  }

  /// What the bytes of a quantised tensor mean, channel by channel: `value = scale * (q - zero)`. For the picture itself the
  /// scale is one: the channels' own scales are folded into the weights.
  private struct QuantizedInput {
    var scale: Float
    var zeros: [Float]
  }

  /// Writes the constants of a step where it expects them.
  func pack(_ node: NetworkBuilder.Node, _ step: Step) throws(SimilarityError) {
    switch (node.layer, step) {
    case (.convolution(let layer), .convolution(let step)):
      write(taps: taps(layer.window, step), to: step.taps)
      let folded = try folded(layer, node)
      if layer.grouping.isGrouped {
        pack(folded, groups: layer.grouping.groups, step)
      } else {
        pack(folded, node, layer.residual, step)
      }
    case (.linear(let name), .convolution(let step)):
      write(taps: [0], to: step.taps)
      pack(try foldedLinear(name, node), node, nil, step)
    case (.convolution(let layer), .depthwise(let step)):
      pack(try folded(layer, node), node, step)
    case (.convolution(let layer), .winograd(let step)):
      write(taps: [0], to: step.taps)
      try pack(layer, node, step)
    default:
      break
    }
  }

  // MARK: Folding

  private func folded(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node
  ) throws(SimilarityError) -> FoldedWeights {
    let filters = node.output.channels
    let taps = layer.window.kernel.height * layer.window.kernel.width
    let channels = layer.channelsPerGroup(of: node.inputs[0])
    let (factors, bias) = try parameters.affine(of: layer, filters: filters)
    let weights = try parameters.tensor("\(layer.name).weight")
    let values = transposed(weights, filters: filters, channels: channels, taps: taps, factors: factors)
    try parameters.checkFolded(values, of: layer)
    return FoldedWeights(taps: taps, channels: channels, filters: filters, values: values, bias: bias)
  }

  private func foldedLinear(_ name: String, _ node: NetworkBuilder.Node) throws(SimilarityError) -> FoldedWeights {
    let (filters, channels) = (node.output.channels, node.inputs[0].channels)
    let weights = try parameters.tensor("\(name).weight")
    let factors = [Double](repeating: 1, count: filters)
    return FoldedWeights(
      taps: 1, channels: channels, filters: filters,
      values: transposed(weights, filters: filters, channels: channels, taps: 1, factors: factors),
      bias: try parameters.tensor("\(name).bias"))
  }

  /// `[filters, channels, taps]`, each filter times its factor, as `[taps, channels, filters]`.
  private func transposed(
    _ weights: [Float], filters: Int, channels: Int, taps: Int, factors: [Double]
  ) -> [Float] {
    precondition(weights.count == filters * channels * taps && factors.count == filters, "the shape was checked")
    return unsafe [Float](unsafeUninitializedCapacity: weights.count) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      unsafe imsim_fold_filters(weights, filters, channels, taps, factors, base)
      count = weights.count
    }
  }

  // MARK: Dense

  private func pack(
    _ folded: FoldedWeights, _ node: NetworkBuilder.Node, _ residual: NetworkBuilder.Value?, _ step: ConvolutionStep
  ) {
    var folded = folded
    let element = step.input.element
    var quanta: [Float] = []
    if element == .u8 {
      let input = quantizedInput(node, &folded)
      quanta = self.quanta(folded)
      let scales = quantize(&folded, quanta, input, node.output, residual)
      write(scales, to: step.scale)
    }
    write(folded.bias, to: step.bias)
    let stored = step.run * element.unit * step.tapCount / folded.taps
    unsafe imsim_convolution_pack(
      element.kernel, lanes, folded.values, folded.taps, folded.channels, stored,
      folded.filters, quanta, constants.start + step.weights)
  }

  /// Each of the step's groups by itself; where it stands for several of the layer's, zeros keep those apart.
  private func pack(_ folded: FoldedWeights, groups: Int, _ step: ConvolutionStep) {
    let filtersPerGroup = folded.filters / groups
    for group in 0..<step.groups {
      let first = group * step.filters
      var values = [Float](repeating: 0, count: folded.taps * step.groupChannels * step.filters)
      for filter in 0..<step.filters {
        let firstChannel = filter / filtersPerGroup * folded.channels
        for tap in 0..<folded.taps {
          for channel in 0..<folded.channels {
            values[(tap * step.groupChannels + firstChannel + channel) * step.filters + filter] =
              folded.values[(tap * folded.channels + channel) * folded.filters + first + filter]
          }
        }
      }
      write(Array(folded.bias[first..<first + step.filters]), to: step.bias + group * step.vectorBytes)
      unsafe imsim_convolution_pack(
        step.input.element.kernel, lanes, values, folded.taps, step.groupChannels, step.groupChannels, step.filters,
        [], constants.start + (step.weights + group * step.weightBytes))
    }
  }

  private func taps(_ window: NetworkBuilder.Window, _ step: ConvolutionStep) -> [Int] {
    // One tap a row of the kernel, or one each.
    let width = step.tapCount == window.kernel.height ? 1 : window.kernel.width
    return (0..<step.tapCount).map { tap in
      tap / width * window.dilation.height * step.input.row + tap % width * window.dilation.width * step.input.pixel
    }
  }

  private func pack(
    _ layer: NetworkBuilder.ConvolutionLayer, _ node: NetworkBuilder.Node, _ step: WinogradStep
  ) throws(SimilarityError) {
    let (factors, bias) = try parameters.affine(of: layer, filters: step.filters)
    let weights = try parameters.tensor("\(layer.name).weight")
    write(bias, to: step.bias)
    let stride = MemoryLayout<Float>.stride
    // The panels of imsim_convolution_pack.
    var filter = 0
    while filter < step.filters {
      let width = step.filters - filter > lanes ? 2 * Int(lanes) : Int(lanes)
      let start = unsafe constants.start + (step.weights + filter * step.channels * stride)
      unsafe imsim_winograd_weights(
        Int32(WinogradStep.tileOutputs), weights, step.filters, step.channels, factors, filter, width,
        start.assumingMemoryBound(to: Float.self), step.positionBytes / stride)
      filter += width
    }
  }

  // MARK: Depthwise

  private func pack(_ folded: FoldedWeights, _ node: NetworkBuilder.Node, _ step: DepthwiseStep) {
    var folded = folded
    let (kernel, channels) = (Int32(step.window.kernel), Int32(step.window.channels))
    let start = unsafe constants.start + step.weights
    switch step.input.element {
    case .fp32:
      unsafe imsim_spatial_pack_depthwise_f32(
        padded(folded.values, folded, to: step.window.channels), kernel, channels,
        start.assumingMemoryBound(to: Float.self))
    case .bf16:
      unsafe imsim_spatial_pack_depthwise_bf16(
        padded(folded.values, folded, to: step.window.channels), kernel, channels,
        start.assumingMemoryBound(to: Float.self))
    case .u8:
      let input = quantizedInput(node, &folded)
      let quanta = quanta(folded)
      let scales = quantize(&folded, quanta, input, node.output, nil)
      write(scales, to: step.scale)
      let steps = folded.values.enumerated().map { i, value in
        Int8((value / quanta[i % folded.filters]).rounded(.toNearestOrEven))
      }
      let bytes = padded(steps, folded, to: step.window.channels)
      unsafe imsim_spatial_pack_depthwise_u8(bytes, kernel, channels, start.assumingMemoryBound(to: Int8.self))
    }
    write(folded.bias, to: step.bias)
  }

  /// `[taps, filters]` with zeros up to `channels` filters.
  private func padded<T: Numeric>(_ values: [T], _ folded: FoldedWeights, to channels: Int) -> [T] {
    guard channels > folded.filters else { return values }
    return (0..<folded.taps).flatMap { tap in
      values[tap * folded.filters..<(tap + 1) * folded.filters]
        + [T](repeating: 0, count: channels - folded.filters)
    }
  }

  // MARK: Quantisation

  /// The zero point of each channel of a picture's own bytes; not whole numbers.
  var pixelZeros: [Float] {
    let (scale, shift) = preprocessing.scaleAndShift
    return zip(scale, shift).map { -$1 / $0 }
  }

  /// How a step's input is quantised; where it is the picture, its channels' scales move into the weights.
  private func quantizedInput(_ node: NetworkBuilder.Node, _ folded: inout FoldedWeights) -> QuantizedInput {
    guard node.inputs[0] == input else {
      guard let quantization = quantizations[node.inputs[0]] else {
        preconditionFailure("stored bytes have a meaning")
      }
      return QuantizedInput(
        scale: quantization.scale, zeros: [Float](repeating: Float(quantization.zero), count: folded.channels))
    }
    precondition(folded.channels == 3, "a picture's bytes are for dense convolutions")
    let scale = preprocessing.scaleAndShift.scale
    for i in folded.values.indices { folded.values[i] *= scale[i / folded.filters % folded.channels] }
    return QuantizedInput(scale: 1, zeros: pixelZeros)
  }

  /// What one step of each filter's weights is worth: the largest weight is 127 steps.
  private func quanta(_ folded: FoldedWeights) -> [Float] {
    var largest = [Float](repeating: 0, count: folded.filters)
    for row in stride(from: 0, to: folded.values.count, by: folded.filters) {
      for filter in 0..<folded.filters { largest[filter] = max(largest[filter], abs(folded.values[row + filter])) }
    }
    return largest.map { $0 / 127 >= .leastNormalMagnitude ? $0 / 127 : 1 }
  }

  /// Makes the bias what the kernels add: zero points and the output's scale included. Returns what a product of stored numbers
  /// is worth in the output's steps.
  private func quantize(
    _ folded: inout FoldedWeights, _ quanta: [Float], _ input: QuantizedInput, _ output: NetworkBuilder.Value,
    _ residual: NetworkBuilder.Value?
  ) -> [Float] {
    guard let to = quantizations[output] else { preconditionFailure("stored bytes have a meaning") }
    var ofZeros = [Double](repeating: 0, count: folded.filters)
    for row in 0..<folded.taps * folded.channels {
      let zero = Double(input.zeros[row % folded.channels])
      for filter in 0..<folded.filters {
        let step = (folded.values[row * folded.filters + filter] / quanta[filter]).rounded(.toNearestOrEven)
        ofZeros[filter] += Double(step) * zero
      }
    }
    let residualZero = residual.flatMap { value in
      quantizations[value].map { Double($0.zero) * Double($0.scale) / Double(to.scale) }
    }
    var scales: [Float] = []
    for filter in 0..<folded.filters {
      let scale = Double(input.scale) * Double(quanta[filter]) / Double(to.scale)
      scales.append(Float(scale))
      folded.bias[filter] = Float(
        Double(folded.bias[filter]) / Double(to.scale) + Double(to.zero) - scale * ofZeros[filter]
          - (residualZero ?? 0))
    }
    return scales
  }

  // MARK: Memory

  private func write(taps: [Int], to offset: Int) {
    unsafe (constants.start + offset).assumingMemoryBound(to: Int.self).update(from: taps, count: taps.count)
  }

  func write(_ values: [Float], to offset: Int) {
    unsafe (constants.start + offset).assumingMemoryBound(to: Float.self).update(from: values, count: values.count)
  }
}
