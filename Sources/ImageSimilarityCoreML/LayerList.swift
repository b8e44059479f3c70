internal import ImageSimilarityKit
internal import SwiftProtobuf

/// The layers of a Core ML network, written one after the other. Tensors have five axes, `[1, 1, channels, height, width]`.
struct LayerList {
  let weights: CoreMLWeights
  /// The fields of a `NeuralNetwork` message.
  private(set) var message = MessageStream()

  init(_ weights: CoreMLWeights) { self.weights = weights }

  mutating func append(_ preprocessing: SpecNeuralNetworkPreprocessing) {
    message.append(SpecNeuralNetwork.with { $0.preprocessing = [preprocessing] })
  }

  mutating func append(
    _ name: String, _ inputs: [String], _ output: String, _ layer: SpecNeuralNetworkLayer.OneOf_Layer
  ) {
    message.append(
      SpecNeuralNetwork.with {
        var frame = Self.frame(name, inputs, output)
        frame.layer = layer
        $0.layers = [frame]
      })
  }

  /// Adds a layer with weights.
  ///
  /// - Parameters:
  ///   - kind: The layer's field, whose message begins as `parameters`.
  ///   - field: The field of the weights in that message.
  ///   - coding: Not the list's where the layer needs another.
  mutating func append(
    _ name: String, _ inputs: [String], _ output: String, kind: Int, _ parameters: some Message, field: Int,
    _ matrix: WeightMatrix, coding: CoreMLWeights? = nil
  ) throws(SimilarityError) {
    var contents = MessageStream()
    contents.append(parameters)
    contents.append(field: field, try matrix.message(coding ?? weights))
    var layer = MessageStream()
    layer.append(Self.frame(name, inputs, output))
    layer.append(field: kind, contents)
    message.append(field: SpecField.layers, layer)
  }

  /// `y = Wx + bias`, for each row of the matrix.
  mutating func appendInnerProduct(
    _ name: String, _ input: String, _ output: String, _ matrix: WeightMatrix, bias: [Float]?
  ) throws(SimilarityError) {
    var parameters = SpecInnerProductLayerParams()
    parameters.inputChannels = UInt64(matrix.columns)
    parameters.outputChannels = UInt64(matrix.rows)
    if let bias {
      parameters.hasBias_p = true
      parameters.bias = try SpecWeightParams(bias, weights, of: "the biases of '\(name)'")
    }
    try append(
      name, [input], output, kind: SpecField.innerProduct, parameters, field: SpecField.innerProductWeights, matrix)
  }

  /// `max(limit, sign * x)`.
  static func threshold(_ limit: Float, sign: Float = 1) -> SpecNeuralNetworkLayer.OneOf_Layer {
    .unary(
      .with {
        $0.type = .threshold
        $0.alpha = limit
        $0.scale = sign
      })
  }

  private static func frame(_ name: String, _ inputs: [String], _ output: String) -> SpecNeuralNetworkLayer {
    .with {
      $0.name = name
      $0.input = inputs
      $0.output = [output]
    }
  }
}
