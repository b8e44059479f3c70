internal import ImageSimilarityKit
internal import SwiftProtobuf

extension LayerList {
  /// Adds the layers from the picture, 0 to 255, to the embedding, `[1, 1, dimension, 1, 1]`.
  mutating func append(_ network: FoldedNetwork, from picture: String, to embedding: String) throws(SimilarityError) {
    let preprocessed = append(network.preprocessing, of: picture)
    func tensor(_ value: FoldedNetwork.Value) -> String {
      switch value {
      case network.input: preprocessed
      case network.output: embedding
      default: "tensor\(value.id)"
      }
    }
    for (index, node) in network.nodes.enumerated() {
      let (inputs, output) = (node.inputs.map(tensor), tensor(node.output))
      switch node.operation {
      case .convolution(let window, let groups, let limits, let residual):
        var rest = residual.map { [Elementwise("add", .add(SpecAddLayerParams()), with: tensor($0))] } ?? []
        if let limits { rest += Elementwise.clamp(limits) }
        let result = rest.isEmpty ? output : "\(output).0"
        try appendConvolution(node, index, of: network, window, groups: groups, inputs[0], result)
        append(rest, node.name, result, output)
      case .maxPool(let window):
        append(
          node.name, inputs, output,
          .pooling(
            .with {
              $0.type = .max
              $0.kernelSize = [UInt64(window.kernelHeight), UInt64(window.kernelWidth)]
              $0.stride = [UInt64(window.strideHeight), UInt64(window.strideWidth)]
              $0.valid = SpecValidPadding(window)
            }))
      case .concatenation:
        append(node.name, inputs, output, .concat(SpecConcatLayerParams()))
      case .globalAveragePool:
        append(
          node.name, inputs, output,
          .pooling(
            .with {
              $0.type = .average
              $0.valid = SpecValidPadding()
              $0.globalPooling = true
            }))
      case .linear:
        try appendInnerProduct(
          node.name, inputs[0], output, network.matrix(index),
          bias: network.requiredWeights(at: index).bias)
      }
    }
  }

  /// Adds `y = x * scale + shift` for each channel, and returns the name of the result.
  ///
  /// Core ML's own preprocessing has one scale, that of the second channel here; a layer makes up for the others where they
  /// differ. Convolutions come after that, so their padding is zero in preprocessed numbers.
  private mutating func append(_ preprocessing: Preprocessing, of picture: String) -> String {
    let (scale, shift) = preprocessing.scaleAndShift
    let ratios = scale.map { $0 / scale[1] }
    let biases = zip(shift, ratios).map { $0 / $1 }
    append(
      .with {
        $0.featureName = picture
        $0.scaler.channelScale = scale[1]
        $0.scaler.redBias = biases[preprocessing.isBGR ? 2 : 0]
        $0.scaler.greenBias = biases[1]
        $0.scaler.blueBias = biases[preprocessing.isBGR ? 0 : 2]
      })
    guard ratios != [1, 1, 1] else { return picture }
    let scaled = "\(picture).scaled"
    append(
      "scale", [picture], scaled,
      .scale(
        .with {
          $0.shapeScale = [3]
          $0.scale.floatValue = ratios
        }))
    return scaled
  }

  private mutating func appendConvolution(
    _ node: FoldedNetwork.Node, _ index: Int, of network: FoldedNetwork, _ window: FoldedNetwork.Window, groups: Int,
    _ input: String, _ output: String
  ) throws(SimilarityError) {
    let bias = try network.requiredWeights(at: index).bias
    var parameters = SpecConvolutionLayerParams()
    parameters.outputChannels = UInt64(node.output.channels)
    parameters.kernelChannels = UInt64(node.inputs[0].channels / groups)
    parameters.nGroups = UInt64(groups)
    parameters.kernelSize = [UInt64(window.kernelHeight), UInt64(window.kernelWidth)]
    parameters.stride = [UInt64(window.strideHeight), UInt64(window.strideWidth)]
    parameters.valid = SpecValidPadding(window)
    parameters.hasBias_p = true
    parameters.bias = try SpecWeightParams(bias, weights, of: "the biases of '\(node.name)'")
    // These have at most a few hundredths of all weights, and about half of the error that 8 bits make.
    let isDelicate = weights == .int8 && (parameters.kernelChannels == 1 || node.inputs[0] == network.input)
    try append(
      node.name, [input], output, kind: SpecField.convolution, parameters, field: SpecField.convolutionWeights,
      network.matrix(index), coding: isDelicate ? .fp32 : nil)
  }

  /// Adds layers one after the other.
  private mutating func append(_ layers: [Elementwise], _ name: String, _ input: String, _ output: String) {
    var input = input
    for (number, layer) in layers.enumerated() {
      let result = number == layers.count - 1 ? output : "\(output).\(number + 1)"
      append("\(name).\(layer.suffix)", [input] + layer.others, result, layer.layer)
      input = result
    }
  }
}

/// A layer that changes each element of its input by itself.
private struct Elementwise {
  var suffix: String
  var layer: SpecNeuralNetworkLayer.OneOf_Layer
  /// Its inputs after the first.
  var others: [String]

  init(_ suffix: String, _ layer: SpecNeuralNetworkLayer.OneOf_Layer, with other: String? = nil) {
    self.suffix = suffix
    self.layer = layer
    others = other.map { [$0] } ?? []
  }

  /// The layer that clips is of version 4 of the specification; these are of version 1, and exact.
  static func clamp(_ limits: FoldedNetwork.Limits) -> [Elementwise] {
    var layers: [Elementwise] = []
    if limits.low == 0 {
      layers.append(Elementwise("relu", .activation(.with { $0.reLu = SpecActivationReLU() })))
    } else if limits.low > -.infinity {
      layers.append(Elementwise("low", LayerList.threshold(limits.low)))
    }
    if limits.high < .infinity {
      layers.append(Elementwise("high", LayerList.threshold(-limits.high, sign: -1)))
      layers.append(Elementwise("sign", .activation(.with { $0.linear.alpha = -1 })))
    }
    return layers
  }
}

extension FoldedNetwork {
  fileprivate func requiredWeights(at index: Int) throws(SimilarityError) -> Weights {
    guard let weights = try weights(at: index) else { preconditionFailure("'\(nodes[index].name)' has weights") }
    return weights
  }

  /// A node's weights, `[filters, channels / groups * kernel height * kernel width]`.
  fileprivate func matrix(_ index: Int) -> WeightMatrix {
    let node = nodes[index]
    var columns = node.inputs[0].channels
    if case .convolution(let window, let groups, _, _) = node.operation {
      columns = columns / groups * window.kernelHeight * window.kernelWidth
    }
    return WeightMatrix(
      name: "the weights of '\(node.name)'", rows: node.output.channels, columns: columns
    ) { body throws(SimilarityError) in
      try body(requiredWeights(at: index).values)
    }
  }
}

extension SpecValidPadding {
  /// What lies outside the picture: zeros for a convolution, nothing for a pool.
  fileprivate init(_ window: FoldedNetwork.Window) {
    self.init()
    paddingAmounts.borderAmounts = [(window.padTop, window.padBottom), (window.padLeft, window.padRight)].map {
      before, after in
      .with {
        $0.startEdgeSize = UInt64(before)
        $0.endEdgeSize = UInt64(after)
      }
    }
  }
}
