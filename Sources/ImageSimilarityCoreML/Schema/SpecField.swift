/// Numbers of fields that are written part by part, as in coreml.proto.
enum SpecField {
  // Model
  static let neuralNetwork = 500
  // NeuralNetwork
  static let layers = 1
  // NeuralNetworkLayer, and the weights in the layer
  static let convolution = 100
  static let convolutionWeights = 90
  static let innerProduct = 140
  static let innerProductWeights = 20
  static let loadConstant = 290
  static let loadConstantData = 2
  // WeightParams
  static let floatValue = 1
  static let float16Value = 2
  static let rawValue = 30
}
