import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import Testing

/// Embeddings and scores against onnxruntime, which ran the same weights through graphs of an independent description
/// (Scripts/goldens/parity.py).
@Suite struct ParityTests {
  @Test(arguments: Backbones.all.map(\.name)) func seededWeightsAgree(_ name: String) throws {
    let backbone = try Backbones.named(name)
    try Fixtures.withWeights(seededWeights(backbone, seed: 2026)) { url in
      let weights = try WeightsFile(contentsOf: url)
      try expectAgreement(backbone, weights, golden: "\(name)-seeded")
    }
  }

  @Test func bundledWeightsAgree() throws {
    let golden = try Golden("efficientnet-lite0-bundled")
    try golden.expect(try NetworkExtractor.bundled(), layer: .pooled)
  }

  @Test(.enabled(if: Fixtures.hasShared, "needs ../shared"))
  func resNet50Agrees() throws {
    try expectAgreement(ResNet50(), weights("resnet50_ktb.safetensors"), golden: "resnet-50")
  }

  @Test(.enabled(if: Fixtures.hasShared, "needs ../shared"))
  func squeezeNetAgrees() throws {
    try expectAgreement(SqueezeNet(.version1x1), weights("squeezenet1_1_caffe.safetensors"), golden: "squeezenet-1.1")
  }

  @Test(.enabled(if: Fixtures.efficientNet != nil, "needs IMSIM_EFFICIENTNET_PTH, which Scripts/test sets"))
  func efficientNetAgrees() throws {
    let url = try #require(Fixtures.efficientNet)
    try expectAgreement(EfficientNetLite0(), WeightsFile(contentsOf: url), golden: "efficientnet-lite0")
  }

  private func weights(_ name: String) throws -> WeightsFile {
    try WeightsFile(contentsOf: Fixtures.shared.appending(path: "weights/\(name)"))
  }

  private func expectAgreement(_ backbone: any Backbone, _ weights: WeightsFile, golden name: String) throws {
    let golden = try Golden(name)
    let preprocessing = try golden.preprocessing
    for layer in EmbeddingLayer.allCases {
      try golden.expect(
        try NetworkExtractor(backbone, weights: weights, layer: layer, preprocessing: preprocessing), layer: layer)
    }
  }
}

/// What onnxruntime computed for some photographs.
struct Golden {
  private let file: SafetensorsFile

  init(_ name: String) throws {
    file = try SafetensorsFile(contentsOf: Fixtures.goldens.appending(path: "\(name).safetensors"))
  }

  /// What the pixels went through.
  var preprocessing: Preprocessing {
    get throws {
      let name = try #require(file.metadata["preprocessing"])
      return try #require(Preprocessing(rawValue: name))
    }
  }

  /// Every element within 1e-4 of the vector's largest.
  func expect(_ extractor: NetworkExtractor, layer: EmbeddingLayer) throws {
    let photos = try #require(file.metadata["photos"]).split(separator: " ").map(String.init)
    let expected = try file.matrix(try #require(file[layer.rawValue]))
    #expect(expected.rows == photos.count && expected.dimension == extractor.dimension)
    let found = try extractor.extract(ImageBatch(try photos.map(Fixtures.photo)))
    for row in 0..<photos.count {
      let scale = try #require(expected[row].map(abs).max())
      let difference = zip(found[row], expected[row]).map { abs($0 - $1) }.max() ?? .infinity
      #expect(
        difference <= 1e-4 * scale,
        "\(extractor.specification.fingerprint.architecture) \(layer.rawValue), \(photos[row]): \(difference / scale)")
    }
  }
}
