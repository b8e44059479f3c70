public import ImageSimilarityCore

/// ResNet-50, with the stride in the 3x3 convolutions (torchvision's variant, also called v1.5).
///
/// 25.6 million weights, 4.1 billion multiply-adds for a picture of 224x224; pooled embedding 2048-d, scores 1000-d.
/// Tensor names are torchvision's. He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, arXiv:1512.03385.
public struct ResNet50: Backbone {
  public let name = "resnet-50"
  public let inputSize = PixelSize(width: 224, height: 224)
  public let preprocessing = Preprocessing.imagenet

  public init() {}

  public func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    var x = network.convolution(
      network.input, "conv1", channels: 64, kernel: 7, stride: 2, padding: .symmetric(3),
      normalization: .init("bn1"), activation: .relu)
    x = network.maxPool(x, kernel: 3, stride: 2, padding: 1)
    for (stage, blocks) in [3, 4, 6, 3].enumerated() {
      for block in 0..<blocks {
        x = bottleneck(
          &network, x, "layer\(stage + 1).\(block)", channels: 64 << stage, stride: stage > 0 && block == 0 ? 2 : 1)
      }
    }
    let pooled = network.globalAveragePool(x)
    return BackboneOutputs(pooled: pooled, scores: network.linear(pooled, "fc", features: 1000))
  }

  /// 1x1 to `channels`, 3x3, 1x1 to four times `channels`, added to a shortcut.
  private func bottleneck(
    _ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ name: String, channels: Int, stride: Int
  ) -> NetworkBuilder.Value {
    var shortcut = x
    if stride != 1 || x.channels != 4 * channels {
      shortcut = network.convolution(
        x, "\(name).downsample.0", channels: 4 * channels, kernel: 1, stride: stride,
        normalization: .init("\(name).downsample.1"))
    }
    var y = network.convolution(
      x, "\(name).conv1", channels: channels, kernel: 1, normalization: .init("\(name).bn1"), activation: .relu)
    y = network.convolution(
      y, "\(name).conv2", channels: channels, kernel: 3, stride: stride, padding: .symmetric(1),
      normalization: .init("\(name).bn2"), activation: .relu)
    return network.convolution(
      y, "\(name).conv3", channels: 4 * channels, kernel: 1, normalization: .init("\(name).bn3"), activation: .relu,
      adding: shortcut)
  }
}
