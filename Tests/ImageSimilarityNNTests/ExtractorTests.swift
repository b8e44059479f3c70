import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityTesting
import Testing

@Suite struct ExtractorTests {
  @Test func bundledNetworkConforms() async throws {
    let photos = try ["cat-tabby", "rocket"].map(Fixtures.photo)
    try await ExtractorConformance.check(try NetworkExtractor.bundled(), images: photos)
  }

  @Test(arguments: [SqueezeNet.Version.version1x0, .version1x1]) func squeezeNetConforms(_ version: SqueezeNet.Version)
    async throws
  {
    let backbone = SqueezeNet(version)
    let extractor = try Fixtures.withWeights(seededWeights(backbone, seed: 1)) { url in
      try NetworkExtractor(named: backbone.name, weights: url, layer: .scores)
    }
    try await ExtractorConformance.check(extractor)
  }

  @Test func fingerprintSaysWhereEmbeddingsComeFrom() throws {
    let bundled = try NetworkExtractor.bundled().specification
    #expect(bundled.fingerprint.architecture == "efficientnet-lite0")
    #expect(bundled.fingerprint.weights.count == 64)
    #expect(bundled.fingerprint.preprocessing == "tf-lite")
    #expect(bundled.fingerprint.layer == "pooled")
    #expect(bundled.fingerprint.dimension == 1280)
    #expect(bundled.weightsPath == nil)
    #expect(bundled.isCompatible(with: try NetworkExtractor.bundled().specification))
    #expect(!bundled.isCompatible(with: try NetworkExtractor.bundled(resize: .crop).specification))
  }

  @Test(arguments: ["efficientnet-lite0", "resnet-50", "squeezenet-1.1", "squeezenet-1.0"])
  func randomWeightsKeepActivationsInBounds(_ name: String) throws {
    let backbone = try Backbones.named(name)
    let weights = try backbone.randomWeights(seed: 1)
    let extractor = try NetworkExtractor(backbone, weights: weights, layer: .scores)
    let scores = try extractor.extract(ImageBatch([Fixtures.photo("rocket")]))[0]
    let largest = try #require(scores.map(abs).max())
    #expect(largest > 1e-3 && largest < 1e5, "\(largest)")
    #expect(try backbone.randomWeights(seed: 1).digest == weights.digest)
    #expect(try backbone.randomWeights(seed: 2).digest != weights.digest)
  }

  @Test func outputDimensions() {
    #expect(ResNet50().outputDimensions == [.pooled: 2048, .scores: 1000])
    #expect(SqueezeNet().outputDimensions == [.pooled: 512, .scores: 1000])
    #expect(EfficientNetLite0().outputDimensions == [.pooled: 1280, .scores: 1000])
  }

  /// A backbone of one's own, small enough to compute by hand.
  private struct TinyNet: Backbone {
    let name = "tiny-net"
    let inputSize = PixelSize(width: 2, height: 1)
    let preprocessing = Preprocessing.tfLite

    func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
      let x = network.convolution(
        network.input, "stem", channels: 2, kernel: 1, bias: true, normalization: .init("norm", epsilon: 0),
        activation: .relu)
      return BackboneOutputs(pooled: network.globalAveragePool(x))
    }
  }

  @Test func ownBackbone() throws {
    let tensors: [(name: String, shape: [Int], values: [Float])] = [
      ("stem.weight", [2, 3, 1, 1], [1, 0, 0, 0, 1, -1]), ("stem.bias", [2], [0.5, 0]),
      ("norm.weight", [2], [2, 1]), ("norm.bias", [2], [1, -0.25]), ("norm.running_mean", [2], [0.5, 0]),
      ("norm.running_var", [2], [4, 1]),
    ]
    let extractor = try Fixtures.withWeights(tensors) { url in
      try NetworkExtractor(TinyNet(), weights: .init(contentsOf: url))
    }
    // Preprocessed: (1, 0, 0) and (0, 1, 0). Filter 0: 2 (x + .5 - .5) / 2 + 1, filter 1: max(0, y - z - .25).
    let image = RGBImage(size: PixelSize(width: 2, height: 1), pixels: [255, 127, 127, 127, 255, 127])
    #expect(try extractor.extract(ImageBatch([image]))[0] == [1.5, 0.375])
  }
}

@Suite struct WeightErrorTests {
  private typealias Tensors = [(name: String, shape: [Int], values: [Float])]

  private func error(_ change: (inout Tensors) -> Void) throws -> SimilarityError? {
    var tensors = seededWeights(SqueezeNet(.version1x1), seed: 1)
    change(&tensors)
    return try Fixtures.withWeights(tensors) { url in
      do throws(SimilarityError) {
        _ = try NetworkExtractor(named: "squeezenet-1.1", weights: url, layer: .scores)
        return nil
      } catch {
        return error
      }
    }
  }

  @Test func completeWeightsAreAccepted() throws {
    #expect(try error { _ in } == nil)
  }

  @Test func missingTensorIsNamed() throws {
    let error = try #require(try error { $0.removeAll { $0.name == "features.3.squeeze.weight" } })
    #expect(error.code == .weightsMismatch)
    #expect(error.message.contains("'features.3.squeeze.weight' [16, 64, 1, 1] is missing"))
  }

  @Test func extraTensorIsNamed() throws {
    let error = try #require(try error { $0.append((name: "features.99.weight", shape: [1], values: [0])) })
    #expect(error.code == .weightsMismatch)
    #expect(error.message.contains("'features.99.weight' is not a tensor of squeezenet-1.1"))
  }

  @Test func misshapenTensorIsNamed() throws {
    let error = try #require(
      try error { tensors in
        for i in tensors.indices where tensors[i].name == "features.0.weight" { tensors[i].shape = [64, 3, 9, 1] }
      })
    #expect(error.code == .weightsMismatch)
    #expect(error.message.contains("'features.0.weight' is [64, 3, 9, 1], expected [64, 3, 3, 3]"))
  }

  @Test(arguments: [Float.nan, .infinity]) func notFiniteTensorIsNamed(_ value: Float) throws {
    let error = try #require(
      try error { tensors in
        for i in tensors.indices where tensors[i].name == "classifier.1.bias" { tensors[i].values[7] = value }
      })
    #expect(error.code == .weightsMismatch)
    #expect(error.message.contains("element 7 of 'classifier.1.bias' is \(value)"))
  }

  @Test func tensorsAfterTheEmbeddingMayBeMissing() throws {
    var tensors = seededWeights(SqueezeNet(.version1x1), seed: 1)
    tensors.removeAll { $0.name.hasPrefix("classifier") }
    try Fixtures.withWeights(tensors) { url in
      let extractor = try NetworkExtractor(named: "squeezenet-1.1", weights: url)
      #expect(extractor.dimension == 512)
      let error = #expect(throws: SimilarityError.self) {
        try NetworkExtractor(named: "squeezenet-1.1", weights: url, layer: .scores)
      }
      #expect(error?.message.contains("no classifier") == true)
    }
  }

  @Test func negativeVarianceIsNamed() throws {
    var tensors = seededWeights(EfficientNetLite0(), seed: 1)
    for i in tensors.indices where tensors[i].name == "_bn0.running_var" { tensors[i].values[3] = -1 }
    try Fixtures.withWeights(tensors) { url in
      let error = #expect(throws: SimilarityError.self) {
        try NetworkExtractor(named: "efficientnet-lite0", weights: url)
      }
      #expect(error?.message.contains("element 3 of '_bn0.running_var'") == true)
    }
  }

  @Test func weightsOfAnotherNetwork() throws {
    try Fixtures.withWeights(seededWeights(SqueezeNet(.version1x0), seed: 1)) { url in
      let error = #expect(throws: SimilarityError.self) { try NetworkExtractor(named: "resnet-50", weights: url) }
      #expect(error?.code == .weightsMismatch)
      #expect(error?.message.contains("not the weights of resnet-50") == true)
    }
  }

  @Test func backboneWithoutWeightsSaysWhereTheyComeFrom() {
    let error = #expect(throws: SimilarityError.self) { try NetworkExtractor(named: "resnet-50", weights: nil) }
    #expect(error?.message.contains("resnet50-0676ba61.pth") == true)
    #expect(error?.message.contains("--weights") == true)
  }

  @Test func bundledWeightsHaveNoScores() {
    let error = #expect(throws: SimilarityError.self) {
      try NetworkExtractor(named: "efficientnet-lite0", weights: nil, layer: .scores)
    }
    #expect(error?.message.contains("no classifier") == true)
  }

  @Test func unknownBackboneListsTheKnown() {
    let error = #expect(throws: SimilarityError.self) { try NetworkExtractor(named: "alexnet", weights: nil) }
    #expect(error?.message.contains("efficientnet-lite0, resnet-50, squeezenet-1.1, squeezenet-1.0") == true)
  }
}
