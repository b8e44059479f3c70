internal import ImageSimilarityCore
internal import ImageSimilarityNN

/// A convolution or a fully connected layer that is not recorded yet, because what reads it may become part of it: factors and
/// shifts of its filters, one addition, and then one activation.
struct Product {
  enum Kind {
    /// Of `[pictures, channels, height, width]`.
    case convolution(NetworkBuilder.Window, groups: Int)
    /// Of `[..., channels]`.
    case linear
  }

  let name: String
  let kind: Kind
  let input: NetworkBuilder.Tensor
  let filters: Int
  /// `[filters, channels / groups, kernel height, kernel width]`, or `[filters, channels]`.
  let weightShape: [Int]
  let weight: LoweredWeights.Source
  /// Of the result, as the graph sees it.
  let shape: [Int]
  /// Position of the node in the graph.
  let order: Int
  /// Of each filter; nil stands for ones and zeros.
  private(set) var factors: [Double]?
  private(set) var shifts: [Double]?
  private(set) var residual: NetworkBuilder.Tensor?
  private(set) var activation = NetworkBuilder.Activation.none

  init(
    name: String, kind: Kind, input: NetworkBuilder.Tensor, weightShape: [Int], weight: LoweredWeights.Source,
    bias: [Float]?, shape: [Int], order: Int
  ) {
    self.name = name
    self.kind = kind
    self.input = input
    filters = weightShape[0]
    self.weightShape = weightShape
    self.weight = weight
    shifts = bias.map { $0.map(Double.init) }
    self.shape = shape
    self.order = order
  }

  var isLinear: Bool { if case .linear = kind { true } else { false } }

  // MARK: Fusion

  /// The axis of the result that counts the filters.
  private var filterAxis: Int { isLinear ? shape.count - 1 : 1 }

  /// A number for each filter, where `constant` has one for each, or one for all; else nil.
  func perFilter(_ constant: ONNXTensor) throws(SimilarityError) -> [Double]? {
    let missing = shape.count - constant.shape.count
    guard constant.elementCount == 1 || constant.elementCount == filters, missing >= 0 else { return nil }
    let aligned = [Int](repeating: 1, count: missing) + constant.shape
    guard aligned.indices.allSatisfy({ aligned[$0] == 1 || $0 == filterAxis }) else { return nil }
    let values = try constant.floats().map(Double.init)
    return values.count == filters ? values : [Double](repeating: values[0], count: filters)
  }

  /// `x * factors + shifts` after this; nil where it comes too late.
  func scaled(by more: [Double]?, shiftedBy shift: [Double]?) -> Product? {
    guard residual == nil, activation == .none else { return nil }
    var product = self
    if let more {
      product.factors = factors.map { zip($0, more).map { $0 * $1 } } ?? more
      product.shifts = shifts.map { zip($0, more).map { $0 * $1 } }
    }
    if let shift {
      product.shifts = product.shifts.map { zip($0, shift).map { $0 + $1 } } ?? shift
    }
    return product
  }

  /// Whether a tensor of this shape can be added.
  func canAdd(_ other: [Int]) -> Bool {
    guard residual == nil, activation == .none, shape == other else { return false }
    switch kind {
    case .convolution(_, let groups): return groups == 1 && shape.count == 4
    case .linear: return true
    }
  }

  func adding(_ other: NetworkBuilder.Tensor) -> Product {
    precondition(canAdd(other.shape), "\(name): a tensor of the result's shape can be added")
    var product = self
    product.residual = other
    return product
  }

  /// Nil where there is an activation already.
  func activated(_ activation: NetworkBuilder.Activation) -> Product? {
    guard self.activation == .none else { return nil }
    var product = self
    product.activation = activation
    return product
  }

  // MARK: Recording

  /// Records the layer, once for each picture where there are several.
  func record(_ network: inout NetworkBuilder, _ weights: inout LoweredWeights) -> NetworkBuilder.Tensor {
    var name = name
    while weights.contains("\(name).weight") || weights.contains("\(name).bias") { name += "'" }
    weights.add("\(name).weight", shape: weightShape, factors.map { .scaled(weight, $0) } ?? weight)
    if let shifts { weights.add("\(name).bias", shape: [filters], .values(shifts.map { Float($0) })) }

    switch kind {
    case .linear:
      return network.linear(
        input, name, features: filters, bias: shifts != nil, activation: activation, adding: residual)
    case .convolution(let window, let groups):
      var results: [NetworkBuilder.Tensor] = []
      for picture in 0..<input.shape[0] {
        func part(_ tensor: NetworkBuilder.Tensor) -> NetworkBuilder.Tensor {
          tensor.shape[0] == 1 ? tensor : network.sliced(tensor, axis: 0, from: picture, count: 1)
        }
        let (x, sum) = (part(input), residual.map(part))
        results.append(
          network.convolution(
            x, name, filters: filters, window: window, groups: groups, bias: shifts != nil, activation: activation,
            adding: sum))
      }
      let result = results.count == 1 ? results[0] : network.concatenated(results, axis: 0)
      return result.shape == shape ? result : network.reshaped(result, to: shape)
    }
  }
}
