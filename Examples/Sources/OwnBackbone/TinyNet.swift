import ImageSimilarityKit

/// A network of a stem and two residual blocks; embeddings have 64 elements.
struct TinyNet: Backbone {
  let name = "tiny-net"
  let inputSize = PixelSize(width: 64, height: 64)
  let preprocessing = Preprocessing.imagenet

  func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
    var x = network.convolution(
      network.input, "stem", channels: 64, kernel: 3, stride: 2, padding: .symmetric(1), bias: true, activation: .relu)
    for block in 1...2 {
      let y = network.convolution(
        x, "block\(block).depthwise", channels: 64, kernel: 3, padding: .symmetric(1), grouping: .depthwise,
        activation: .relu)
      x = network.convolution(
        y, "block\(block).pointwise", channels: 64, kernel: 1, bias: true, activation: .relu, adding: x)
    }
    return BackboneOutputs(pooled: network.globalAveragePool(x))
  }
}
