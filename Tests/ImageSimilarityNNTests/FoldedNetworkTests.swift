import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import Testing

@Suite struct FoldedNetworkTests {
  /// Every kind of layer that a folded network has.
  private struct AllLayers: Backbone {
    let name = "all-layers"
    let inputSize = PixelSize(width: 6, height: 5)
    let preprocessing = Preprocessing.caffe

    func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
      let x = network.convolution(
        network.input, "stem", channels: 2, kernel: 3, stride: 2, padding: .same, bias: true,
        normalization: .init("norm", epsilon: 0), activation: .relu6)
      let y = network.convolution(
        x, "spatial", channels: 2, kernel: 3, padding: .symmetric(1), grouping: .depthwise, activation: .relu)
      let z = network.convolution(y, "point", channels: 2, kernel: 1, adding: x)
      let both = network.concatenate([
        network.maxPool(y, kernel: 2, stride: 2, ceilMode: true),
        network.maxPool(z, kernel: 2, stride: 2, ceilMode: true),
      ])
      let pooled = network.globalAveragePool(both)
      return BackboneOutputs(pooled: pooled, scores: network.linear(pooled, "fc", features: 7))
    }
  }

  private func network(
    layer: EmbeddingLayer = .scores,
    changing change: (inout [(name: String, shape: [Int], values: [Float])]) -> Void = { _ in }
  ) throws -> FoldedNetwork {
    var tensors = seededWeights(AllLayers(), seed: 3)
    change(&tensors)
    return try Fixtures.withWeights(tensors) { url in
      try FoldedNetwork(AllLayers(), weights: WeightsFile(contentsOf: url), layer: layer)
    }
  }

  private func description(_ node: FoldedNetwork.Node) -> String {
    func description(_ window: FoldedNetwork.Window) -> String {
      "kernel \(window.kernelHeight) \(window.kernelWidth) stride \(window.strideHeight) \(window.strideWidth) "
        + "pads \(window.padTop) \(window.padLeft) \(window.padBottom) \(window.padRight)"
    }
    switch node.operation {
    case .convolution(let window, let groups, let limits, let residual):
      return description(window) + " groups \(groups) limits \(limits.map { "\($0.low) \($0.high)" } ?? "none") "
        + "residual \(residual?.id ?? -1)"
    case .maxPool(let window): return description(window)
    case .concatenation, .globalAveragePool, .linear: return ""
    }
  }

  @Test func layersInTheirOrder() throws {
    let network = try network()
    #expect(network.input.shape == [5, 6, 3])
    #expect(network.preprocessing == .caffe)
    #expect(network.dimension == 7)
    #expect(network.output == network.nodes.last?.output)
    #expect(
      network.nodes.map(\.name) == [
        "stem", "spatial", "point", "maxpool.4", "maxpool.5", "concat.6", "avgpool.7", "fc",
      ])
    #expect(
      network.nodes.map(\.output.shape) == [
        [3, 3, 2], [3, 3, 2], [3, 3, 2], [2, 2, 2], [2, 2, 2], [2, 2, 4], [1, 1, 4], [1, 1, 7],
      ])
    #expect(network.nodes.map { $0.inputs.map(\.id) } == [[0], [1], [2], [2], [3], [4, 5], [6], [7]])

    // TensorFlow's "SAME" with stride 2: 5 rows need one zero on each side, 6 columns one on the right.
    #expect(
      description(network.nodes[0]) == "kernel 3 3 stride 2 2 pads 1 0 1 1 groups 1 limits 0.0 6.0 residual -1")
    #expect(
      description(network.nodes[1]) == "kernel 3 3 stride 1 1 pads 1 1 1 1 groups 2 limits 0.0 inf residual -1")
    #expect(description(network.nodes[2]) == "kernel 1 1 stride 1 1 pads 0 0 0 0 groups 1 limits none residual 1")
    #expect(description(network.nodes[3]) == "kernel 2 2 stride 2 2 pads 0 0 1 1")
    #expect(network.nodes[5].operation == .concatenation)
    #expect(network.nodes[6].operation == .globalAveragePool)
    #expect(network.nodes[7].operation == .linear)
  }

  @Test func layersAfterTheEmbeddingAreLeftOut() throws {
    let network = try network(layer: .pooled)
    #expect(network.dimension == 4)
    #expect(network.nodes.last?.operation == .globalAveragePool)
  }

  @Test func normalizationIsFoldedInDoublePrecision() throws {
    let network = try network()
    let tensors = Dictionary(uniqueKeysWithValues: seededWeights(AllLayers(), seed: 3).map { ($0.name, $0.values) })
    func tensor(_ name: String) throws -> [Float] { try #require(tensors[name]) }
    let stem = try #require(try network.weights(at: 0))
    #expect(stem.shape == [2, 3, 3, 3])
    for filter in 0..<2 {
      let factor = try Double(tensor("norm.weight")[filter]) / Double(tensor("norm.running_var")[filter]).squareRoot()
      for i in 27 * filter..<27 * (filter + 1) {
        #expect(try stem.values[i] == Float(Double(tensor("stem.weight")[i]) * factor))
      }
      let bias = try Double(tensor("stem.bias")[filter]) - Double(tensor("norm.running_mean")[filter])
      #expect(try stem.bias[filter] == Float(Double(tensor("norm.bias")[filter]) + bias * factor))
    }

    let spatial = try #require(try network.weights(at: 1))
    #expect(spatial.shape == [2, 1, 3, 3])
    #expect(try spatial.values == tensor("spatial.weight"))
    #expect(spatial.bias == [0, 0])
    #expect(try network.weights(at: 3) == nil)
    let linear = try #require(try network.weights(at: 7))
    #expect(linear.shape == [7, 4])
    #expect(try linear.values == tensor("fc.weight"))
    #expect(try linear.bias == tensor("fc.bias"))
  }

  @Test func weightsThatAreNotFiniteAreNamed() throws {
    let infinite = try network { tensors in
      for i in tensors.indices where tensors[i].name == "fc.bias" { tensors[i].values[2] = .infinity }
    }
    var error = #expect(throws: SimilarityError.self) { try infinite.weights(at: 7) }
    #expect(error?.code == .weightsMismatch)
    #expect(error?.message.contains("element 2 of 'fc.bias' is inf") == true, "\(error?.message ?? "")")

    for name in ["stem.weight", "stem.bias"] {
      let large = try network { tensors in
        for i in tensors.indices where tensors[i].name == name { tensors[i].values[0] = 3e38 }
        for i in tensors.indices where tensors[i].name == "norm.weight" { tensors[i].values[0] = 1e6 }
      }
      error = #expect(throws: SimilarityError.self) { try large.weights(at: 0) }
      #expect(
        error?.message.contains("'stem' times its normalisation are too large") == true, "\(error?.message ?? "")")
    }
  }

  @Test func otherWeightsAreRefused() throws {
    let error = #expect(throws: SimilarityError.self) {
      try network { $0.removeAll { $0.name == "norm.bias" } }
    }
    #expect(error?.code == .weightsMismatch)
    #expect(throws: Never.self) { try network(layer: .pooled) { $0.removeAll { $0.name == "fc.bias" } } }
  }

  @Test func anExtractorGivesItsNetwork() throws {
    let network = try NetworkExtractor.bundled(resize: .crop).folded()
    #expect(network.architecture == "efficientnet-lite0")
    #expect(network.preprocessing == .tfLite)
    #expect(network.dimension == 1280)
  }

  @Test func otherLayersAreNamed() throws {
    struct Gated: Backbone {
      let name = "gated"
      let inputSize = PixelSize(width: 4, height: 4)
      let preprocessing = Preprocessing.imagenet

      func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
        let x = network.pictures(channelsFirst: true)
        let gate = network.unary(.sigmoid, x)
        return BackboneOutputs(pooled: network.vector([network.globalAveragePool(gate)]))
      }
    }
    let error = #expect(throws: SimilarityError.self) {
      try FoldedNetwork(Gated(), weights: Gated().randomWeights(seed: 1))
    }
    #expect(error?.code == .invalidArgument)
    #expect(
      error?.message.contains("gated cannot be exported: it has the operation 'unary'") == true,
      "\(error?.message ?? "")")
  }
}
