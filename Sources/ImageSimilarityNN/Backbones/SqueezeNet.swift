public import ImageSimilarityCore

/// SqueezeNet 1.0 and 1.1: fire modules of 1x1 and 3x3 convolutions, no fully connected layer.
///
/// 1.2 million weights; 0.82 (1.0) and 0.35 (1.1) billion multiply-adds for a picture of 224x224; pooled embedding 512-d
/// (before the classifier), scores 1000-d. Tensor names are torchvision's.
/// Iandola et al., *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters*, arXiv:1602.07360.
public struct SqueezeNet: Backbone {
  public enum Version: String, Sendable, Hashable, CaseIterable {
    case version1x0 = "1.0"
    case version1x1 = "1.1"
  }

  public let version: Version
  public let inputSize = PixelSize(width: 224, height: 224)
  public let preprocessing = Preprocessing.imagenet
  public var name: String { "squeezenet-\(version.rawValue)" }

  public init(_ version: Version = .version1x1) {
    self.version = version
  }

  private enum Stage {
    case pool
    /// Channels of the squeezing convolution, and of each of the two expanding ones.
    case fire(Int, Int)
  }

  /// The layers after the first convolution and its ReLU, which are `features.0` and `features.1`.
  private var stages: [Stage] {
    switch version {
    case .version1x0:
      [
        .pool, .fire(16, 64), .fire(16, 64), .fire(32, 128), .pool, .fire(32, 128), .fire(48, 192), .fire(48, 192),
        .fire(64, 256), .pool, .fire(64, 256),
      ]
    case .version1x1:
      [
        .pool, .fire(16, 64), .fire(16, 64), .pool, .fire(32, 128), .fire(32, 128), .pool, .fire(48, 192),
        .fire(48, 192), .fire(64, 256), .fire(64, 256),
      ]
    }
  }

  public func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    var x = network.convolution(
      network.input, "features.0", channels: version == .version1x0 ? 96 : 64, kernel: version == .version1x0 ? 7 : 3,
      stride: 2,
      bias: true, activation: .relu)
    for (index, stage) in stages.enumerated() {
      switch stage {
      case .pool:
        x = network.maxPool(x, kernel: 3, stride: 2, ceilMode: true)
      case .fire(let squeeze, let expand):
        x = fire(&network, x, "features.\(index + 2)", squeeze: squeeze, expand: expand)
      }
    }
    let pooled = network.globalAveragePool(x)
    let classified = network.convolution(
      x, "classifier.1", channels: 1000, kernel: 1, bias: true, activation: .relu)
    return BackboneOutputs(pooled: pooled, scores: network.globalAveragePool(classified))
  }

  private func fire(
    _ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ name: String, squeeze: Int, expand: Int
  ) -> NetworkBuilder.Value {
    let squeezed = network.convolution(
      x, "\(name).squeeze", channels: squeeze, kernel: 1, bias: true, activation: .relu)
    return network.concatenate([
      network.convolution(
        squeezed, "\(name).expand1x1", channels: expand, kernel: 1, bias: true, activation: .relu),
      network.convolution(
        squeezed, "\(name).expand3x3", channels: expand, kernel: 3, padding: .symmetric(1), bias: true,
        activation: .relu),
    ])
  }
}
