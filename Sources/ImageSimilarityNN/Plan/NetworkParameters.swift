internal import CSimilarityKernels
internal import ImageSimilarityCore
internal import ImageSimilarityFiles

/// The tensors of a weights file, checked against what a network needs.
struct NetworkParameters {
  let file: any WeightSource

  /// Throws ``SimilarityError/Code/weightsMismatch``, which lists every tensor that is missing, misshaped or left over.
  ///
  /// Tensors of layers that the embedding does not need may be there or not; so may PyTorch's batch counters.
  func check(
    nodes: [NetworkBuilder.Node], allNodes: [NetworkBuilder.Node], backbone: String, layer: EmbeddingLayer
  ) throws(SimilarityError) {
    var problems: [String] = []
    var missing = 0
    for (name, shape) in nodes.flatMap(\.requiredTensors) {
      guard let found = file.shape(of: name) else {
        problems.append("'\(name)' \(shape) is missing")
        missing += 1
        continue
      }
      if found != shape { problems.append("'\(name)' is \(found), expected \(shape)") }
    }
    let known = Set(allNodes.flatMap(\.requiredTensors).map(\.name))
    for name in file.names where !known.contains(name) && !name.hasSuffix(".num_batches_tracked") {
      problems.append("'\(name)' is not a tensor of \(backbone)")
    }
    guard !problems.isEmpty else { return }

    var message = "\(file.name): not the weights of \(backbone), layer '\(layer.rawValue)': "
    message += problems.prefix(4).joined(separator: "; ")
    if problems.count > 4 { message += "; and \(problems.count - 4) more" }
    if layer == .scores, missing == problems.count, missing <= 2 {
      message += ". These weights have no classifier, so there is only the layer 'pooled'"
    }
    throw SimilarityError(.weightsMismatch, message)
  }

  /// A tensor's elements; all are finite.
  func tensor(_ name: String) throws(SimilarityError) -> [Float] {
    let values = try file.floats(name)
    let index = unsafe imsim_first_not_finite(values, values.count)
    guard index == values.count else {
      throw SimilarityError(
        .weightsMismatch,
        "\(file.name): element \(index) of '\(name)' is \(values[index]), expected finite numbers")
    }
    return values
  }

  /// A tensor's elements, which may be infinite, as what masks an attention is.
  func constant(_ name: String) throws(SimilarityError) -> [Float] {
    let values = try file.floats(name)
    if let index = values.firstIndex(where: \.isNaN) {
      throw SimilarityError(
        .weightsMismatch, "\(file.name): element \(index) of '\(name)' is not a number, expected numbers")
    }
    return values
  }

  /// The factor of each filter of a convolution, and its bias, with the batch normalisation folded in.
  func affine(
    of layer: NetworkBuilder.ConvolutionLayer, filters: Int
  ) throws(SimilarityError) -> (factors: [Double], bias: [Float]) {
    var factors = [Double](repeating: 1, count: filters)
    var bias = layer.hasBias ? try tensor("\(layer.name).bias") : [Float](repeating: 0, count: filters)
    guard let normalization = layer.normalization else { return (factors, bias) }

    let scale = try tensor("\(normalization.name).weight")
    let shift = try tensor("\(normalization.name).bias")
    let mean = try tensor("\(normalization.name).running_mean")
    let variance = try tensor("\(normalization.name).running_var")
    for filter in 0..<filters {
      let spread = Double(variance[filter]) + normalization.epsilon
      guard spread > 0 else {
        throw SimilarityError(
          .weightsMismatch,
          "\(file.name): element \(filter) of '\(normalization.name).running_var' is \(variance[filter]), "
            + "expected a variance")
      }
      factors[filter] = Double(scale[filter]) / spread.squareRoot()
      bias[filter] = Float(Double(shift[filter]) + (Double(bias[filter]) - Double(mean[filter])) * factors[filter])
    }
    return (factors, bias)
  }

  /// Throws where a convolution's weights or bias, with the normalisation folded in, are not finite.
  func checkFolded(_ values: [Float], of layer: NetworkBuilder.ConvolutionLayer) throws(SimilarityError) {
    guard unsafe imsim_first_not_finite(values, values.count) == values.count else {
      throw SimilarityError(
        .weightsMismatch,
        "\(file.name): the weights of '\(layer.name)' times its normalisation are too large for fp32")
    }
  }
}

extension NetworkBuilder.Node {
  /// The tensors that the layer reads, in PyTorch's shapes.
  var requiredTensors: [(name: String, shape: [Int])] {
    switch layer {
    case .convolution(let convolution):
      let kernel = convolution.window.kernel
      let channels = convolution.channelsPerGroup(of: inputs[0])
      let shape = [output.channels, channels] + (convolution.isLinear ? [] : [kernel.height, kernel.width])
      var tensors = [("\(convolution.name).weight", shape)]
      if convolution.hasBias { tensors.append(("\(convolution.name).bias", [output.channels])) }
      if let normalization = convolution.normalization {
        for part in ["weight", "bias", "running_mean", "running_var"] {
          tensors.append(("\(normalization.name).\(part)", [output.channels]))
        }
      }
      return tensors
    case .linear(let name):
      return [("\(name).weight", [output.channels, inputs[0].channels]), ("\(name).bias", [output.channels])]
    case .tensor(let layer):
      return layer.operands.compactMap { operand in
        if case .constant(let name, let shape) = operand.source { (name, shape) } else { nil }
      }
    case .maxPool, .concatenate, .globalAveragePool, .argument:
      return []
    }
  }
}
