public import ImageSimilarityCore

/// The architecture of a convolutional network, without weights.
///
/// ## Conforming
/// Describe the layers in ``build(_:)`` and name them as the weights file names its tensors:
///
/// ```swift
/// struct TinyNet: Backbone {
///   let name = "tiny-net"
///   let inputSize = PixelSize(width: 64, height: 64)
///   let preprocessing = Preprocessing.imagenet
///
///   func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
///     let x = network.convolution(
///       network.input, "stem", channels: 32, kernel: 3, stride: 2, padding: .symmetric(1), bias: true, activation: .relu)
///     return BackboneOutputs(pooled: network.globalAveragePool(x))
///   }
/// }
/// let extractor = try NetworkExtractor(TinyNet(), weights: WeightsFile(contentsOf: url))
/// ```
public protocol Backbone: Sendable {
  /// The architecture's name, as a fingerprint states it.
  var name: String { get }
  /// The pictures that the weights were trained on.
  var inputSize: PixelSize { get }
  /// What the usual weights expect of pixels.
  var preprocessing: Preprocessing { get }
  /// Whether ``build(_:)`` describes the network for pictures of any size, not only ``inputSize``. True unless stated.
  var takesAnySize: Bool { get }

  func build(_ network: inout NetworkBuilder) -> BackboneOutputs
}

extension Backbone {
  public var takesAnySize: Bool { true }

  /// The length of the embedding that each layer gives.
  public var outputDimensions: [EmbeddingLayer: Int] {
    var network = NetworkBuilder(inputSize: inputSize)
    let outputs = build(&network)
    var dimensions: [EmbeddingLayer: Int] = [.pooled: outputs.pooled.channels]
    dimensions[.scores] = outputs.scores?.channels
    return dimensions
  }

  /// The tensors of the whole network, classifier included, with their shapes (PyTorch's: filters first).
  ///
  /// A weights file has exactly these; those of layers after the embedding may be missing.
  public var tensorShapes: [String: [Int]] {
    var network = NetworkBuilder(inputSize: inputSize)
    _ = build(&network)
    return Dictionary(network.nodes.flatMap(\.requiredTensors).map { ($0.name, $0.shape) }) { first, _ in first }
  }
}

/// The values of a network that can serve as an embedding; each is a vector, `[1, 1, channels]`.
public struct BackboneOutputs: Sendable {
  /// The mean over all pixels of the last convolutional map.
  public var pooled: NetworkBuilder.Value
  /// The class scores before the softmax, where the network has a classifier.
  public var scores: NetworkBuilder.Value?

  public init(pooled: NetworkBuilder.Value, scores: NetworkBuilder.Value? = nil) {
    self.pooled = pooled
    self.scores = scores
  }
}

/// The layer that an embedding is read from.
public enum EmbeddingLayer: String, Sendable, Hashable, Codable, CaseIterable {
  case pooled
  case scores
}

/// The backbones of this package, by name.
public enum Backbones {
  public static let all: [any Backbone] = [
    EfficientNetLite0(), ResNet50(), SqueezeNet(.version1x1), SqueezeNet(.version1x0),
  ]

  /// Throws ``SimilarityError/Code/invalidArgument``, which lists the names there are.
  public static func named(_ name: String) throws(SimilarityError) -> any Backbone {
    guard let backbone = all.first(where: { $0.name == name }) else {
      throw SimilarityError(
        .invalidArgument,
        "there is no backbone named '\(name)'; there are \(all.map(\.name).joined(separator: ", "))")
    }
    return backbone
  }
}
