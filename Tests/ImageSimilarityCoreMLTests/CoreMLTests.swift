import Foundation
import ImageSimilarityCoreML
import ImageSimilarityKit
import Testing

/// Core ML files against the models that they are of.
@Suite struct CoreMLTests {
  private let folder: TemporaryFolder
  private let file: URL

  init() throws {
    folder = try TemporaryFolder()
    file = folder.url("out.mlmodel")
  }

  private func model(
    _ backbone: some Backbone = SmallNet(), metric: Metric = .cosine, layer: EmbeddingLayer = .pooled,
    precision: Precision = .fp32, count: Int = 9, label: (Int) -> String? = { _ in nil }
  ) async throws -> SimilarityModel {
    let extractor = try NetworkExtractor(
      backbone, weights: backbone.randomWeights(seed: 7), layer: layer, precision: precision)
    var options = SimilarityModel.Options()
    options.metric = metric
    return try await SimilarityModel.create(
      at: folder.url("m.imsim"), from: Pictures.collection(count, backbone.inputSize, label: label),
      extractor: extractor, options: options)
  }

  private func options(_ weights: CoreMLWeights, featuresOnly: Bool = false) -> CoreMLOptions {
    var options = CoreMLOptions()
    options.weights = weights
    options.featuresOnly = featuresOnly
    return options
  }

  /// The largest difference between the distances of the file and those of a query, and the largest distance.
  private func compare(_ model: SimilarityModel, queries: ClosedRange<Int>, _ size: PixelSize) async throws -> (
    error: Double, distance: Double
  ) {
    let evaluator = try CoreMLEvaluator(file)
    let ids = try model.ids
    var result = (error: 0.0, distance: 0.0)
    for seed in queries {
      let picture = Pictures.make(seed, size)
      let found = try evaluator.evaluate(picture)
      let hits = try await model.query(.pixels(picture), k: ids.count)
      try #require(found.count == ids.count && hits.count == ids.count)
      let expected = Dictionary(uniqueKeysWithValues: hits.map { ($0.id, Double($0.distance)) })
      for (id, distance) in zip(ids, found) {
        let wanted = try #require(expected[id])
        result.error = max(result.error, abs(distance - wanted))
        result.distance = max(result.distance, abs(wanted))
      }
    }
    return result
  }

  // MARK: Distances

  @Test(arguments: Metric.allCases, Preprocessing.allCases)
  func distancesAreThoseOfTheModel(_ metric: Metric, _ preprocessing: Preprocessing) async throws {
    let model = try await model(SmallNet(preprocessing: preprocessing), metric: metric)
    let summary = try model.exportCoreML(to: file)
    #expect(summary.images == 9 && summary.dimension == 16 && summary.index == nil)
    #expect(try Data(contentsOf: file).count == summary.bytes)
    // Seeds of the model's own pictures, and of others.
    let (error, distance) = try await compare(model, queries: 8...12, SmallNet().inputSize)
    #expect(distance > 0.01)
    #expect(error < 1e-5 * max(1, distance), "\(error) of \(distance)")
    #expect(
      try CoreMLEvaluator(file).evaluate(Pictures.make(9, SmallNet().inputSize)).allSatisfy {
        metric == .innerProduct || $0 >= 0
      })
  }

  @Test func scoresAreCompared() async throws {
    let model = try await model(layer: .scores)
    #expect(try model.exportCoreML(to: file).dimension == 5)
    let (error, distance) = try await compare(model, queries: 9...11, SmallNet().inputSize)
    #expect(error < 1e-5 && distance > 0.001)
  }

  @Test(arguments: [CoreMLWeights.fp16, .int8], Metric.allCases)
  func fewerBitsChangeLittle(_ weights: CoreMLWeights, _ metric: Metric) async throws {
    let model = try await model(metric: metric)
    try model.exportCoreML(to: file, options: options(weights))
    let (error, distance) = try await compare(model, queries: 8...12, SmallNet().inputSize)
    #expect(error < (weights == .fp16 ? 2e-3 : 3e-2) * distance, "\(error) of \(distance)")
    #expect(error > 1e-6 * distance)
  }

  @Test func otherPrecisionsAreExportedFromTheirWeights() async throws {
    let model = try await model(precision: .bf16)
    try model.exportCoreML(to: file)
    let exact = folder.url("exact.mlmodel")
    let fp32 = try NetworkExtractor(SmallNet(), weights: SmallNet().randomWeights(seed: 7))
    let other = try await SimilarityModel.create(
      at: folder.url("fp32.imsim"), from: Pictures.collection(9, SmallNet().inputSize), extractor: fp32)
    try other.exportCoreML(to: exact)
    // All layers but the references are the same.
    let (a, b) = (try CoreMLEvaluator(file).layers(), try CoreMLEvaluator(exact).layers())
    #expect(a.count == b.count)
    for (a, b) in zip(a, b) where a.has(100) { #expect(try a.message(100).data(90) == b.message(100).data(90)) }
    let (error, distance) = try await compare(model, queries: 8...12, SmallNet().inputSize)
    #expect(error < 0.02 * distance)
  }

  @Test func theBundledNetwork() async throws {
    let names = ["cat-tabby", "coffee", "moose"]
    let photos = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Sources/CDemoPhotos/photos")
    let items = names.map { ImageItem(id: $0, source: .file(photos.appending(path: "\($0).jpg"))) }
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .items(items))
    try model.exportCoreML(to: file)
    let picture = try VipsImageDecoder().decode(
      .file(photos.appending(path: "bison.jpg")), as: model.extractor.input)
    let found = try CoreMLEvaluator(file).evaluate(picture)
    let hits = try await model.query(.pixels(picture), k: 3).sorted { $0.id < $1.id }
    #expect(hits.map(\.id) == names && found.count == 3)
    for (hit, distance) in zip(hits, found) { #expect(abs(Double(hit.distance) - distance) < 1e-5) }
  }

  // MARK: What the file says

  @Test func metadata() async throws {
    let model = try await model(label: { $0 == 3 ? "three/\"3\"" : nil })
    var options = CoreMLOptions()
    options.author = "A. Author"
    options.license = "Free"
    try model.exportCoreML(to: file, options: options)
    let evaluator = try CoreMLEvaluator(file)
    let metadata = try evaluator.metadata
    #expect(metadata.string(3) == "A. Author" && metadata.string(4) == "Free")
    #expect(metadata.string(1).contains("9 pictures") && metadata.string(1).contains("small-net"))
    #expect(metadata.string(2) == "ImageSimilarityKit \(Version.current)")
    let own = try metadata.map(100)
    #expect(Set(own.keys) == ["ids", "labels", "metric", "extractor"] && own["metric"] == "cosine")
    let decoder = JSONDecoder()
    let ids = try decoder.decode([String].self, from: Data(#require(own["ids"]).utf8))
    #expect(try ids == model.ids)
    let labels = try decoder.decode([String?].self, from: Data(#require(own["labels"]).utf8))
    #expect(labels == ids.map { $0 == "picture 3" ? "three/\"3\"" : nil })
    let extractor = try decoder.decode(ExtractorSpecification.self, from: Data(#require(own["extractor"]).utf8))
    #expect(extractor.isCompatible(with: model.extractor) && extractor.weightsPath == nil)
    let description = try evaluator.description
    #expect(try description.message(1).string(1) == "image" && description.message(10).string(1) == "distance")
  }

  @Test func labelsAreLeftOutWhereThereAreNone() async throws {
    try await model().exportCoreML(to: file)
    #expect(try CoreMLEvaluator(file).metadata.map(100)["labels"] == nil)
  }

  @Test(arguments: zip(CoreMLWeights.allCases, [1, 2, 3]))
  func version(_ weights: CoreMLWeights, _ version: Int) async throws {
    try await model().exportCoreML(to: file, options: options(weights))
    #expect(try CoreMLEvaluator(file).model.integer(1) == version && weights.specificationVersion == version)
  }

  @Test func sameFileTwice() async throws {
    let model = try await model()
    try model.exportCoreML(to: file)
    let first = try Data(contentsOf: file)
    try model.exportCoreML(to: file)
    #expect(try Data(contentsOf: file) == first)
  }

  /// Core ML wants weights and biases of a layer in halves together, one scale and bias a row, and no name given twice.
  @Test(arguments: CoreMLWeights.allCases, Metric.allCases)
  func rulesOfTheFormat(_ weights: CoreMLWeights, _ metric: Metric) async throws {
    try await model(metric: metric).exportCoreML(to: file, options: options(weights))
    let evaluator = try CoreMLEvaluator(file)
    var (layers, tensors): (Set<String>, Set<String>) = ([], ["image"])
    for layer in try evaluator.layers() {
      #expect(layers.insert(layer.string(1)).inserted)
      #expect(layer.strings(3).allSatisfy { tensors.insert($0).inserted })
      #expect(layer.has(290) || !layer.strings(2).isEmpty)
      for (kind, weight, bias) in [(100, 90, 91), (140, 20, 21)] where layer.has(kind) {
        let parameters = try layer.message(kind)
        #expect(try parameters.message(weight).has(2) == (weights == .fp16))
        let isDelicate = kind == 100 && (parameters.integer(10) > 1 || parameters.integer(2) == 3)
        #expect(try parameters.message(weight).has(30) == (weights == .int8 && !isDelicate))
        if parameters.has(bias) { #expect(try parameters.message(bias).has(2) == (weights == .fp16)) }
      }
    }
    let preprocessed = try evaluator.layers().filter { $0.has(245) }
    #expect(preprocessed.count == 1)
  }

  @Test func quantisedWeightsAreWithinHalfAStep() async throws {
    let model = try await model()
    try model.exportCoreML(to: file)
    let coarse = folder.url("coarse.mlmodel")
    try model.exportCoreML(to: coarse, options: options(.int8))
    let (a, b) = (try CoreMLEvaluator(file), try CoreMLEvaluator(coarse))
    var compared = 0
    for (fine, coarse) in try zip(a.layers(), b.layers()) {
      for (kind, weight, rowCount) in [(100, 90, 1), (140, 20, 2)] where fine.has(kind) {
        let rows = try fine.message(kind).integer(rowCount)
        let exact = try a.weights(fine.message(kind).message(weight), rows: rows)
        let message = try coarse.message(kind).message(weight)
        guard message.has(30) else { continue }
        let rounded = try b.weights(message, rows: rows)
        let scales = try message.message(40).message(101).floats(1)
        try #require(exact.count == rounded.count && scales.count == rows)
        for i in exact.indices {
          #expect(abs(exact[i] - rounded[i]) <= Double(scales[i / (exact.count / rows)]) * 0.5001)
          compared += 1
        }
      }
    }
    #expect(compared > 1000)
  }

  // MARK: Many pictures

  /// Turi Create's file had two matrices, `[images, dimension]` in fp32: the references, and ones.
  @Test(arguments: zip(CoreMLWeights.allCases, [0.501, 0.251, 0.127]))
  func size(_ weights: CoreMLWeights, _ part: Double) async throws {
    let (images, dimension) = (200, 2048)
    let model = try await model(WideNet(), count: images)
    let whole = try model.exportCoreML(to: file, options: options(weights))
    let metadata = try CoreMLEvaluator(file).metadata.data(100).count + 40 * images
    let network = try model.exportCoreML(to: file, options: options(weights, featuresOnly: true))
    let index = whole.bytes - network.bytes - metadata
    #expect(Double(index) < part * Double(2 * images * dimension * 4))
  }

  /// More embeddings than are read at once.
  @Test func manyReferences() async throws {
    let (images, dimension) = (2100, 2048)
    let extractor = try NetworkExtractor(WideNet(), weights: WideNet().randomWeights(seed: 1))
    let values = (0..<images * dimension).map { Float(($0 * 2_654_435_761) % 1009) / 64 - 8 }
    let ids = (0..<images).map { String($0 * 7919 % images) }
    var options = SimilarityModel.Options()
    options.metric = .euclidean
    let table = try EmbeddingTable(
      embeddings: EmbeddingMatrix(rows: images, dimension: dimension, values: values),
      records: ids.map { ImageRecord(id: $0) })
    _ = try await SimilarityModel.create(
      at: folder.url("m.imsim"), importing: table, specification: extractor.specification, options: options)
    let model = try await SimilarityModel.open(at: folder.url("m.imsim"), extractor: extractor)
    try model.exportCoreML(to: file)
    let evaluator = try CoreMLEvaluator(file)
    let constant = try #require(try evaluator.layers().first { $0.has(290) }).message(290)
    #expect(constant.integers(1) == [images, 1, dimension])
    let written = try constant.message(2).floats(1)
    try #require(written.count == values.count)
    let rows = Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1, $0) })
    var wrong = 0
    for (place, id) in try model.ids.enumerated() {
      let row = try #require(rows[id])
      for i in 0..<dimension where written[place * dimension + i] != -values[row * dimension + i] { wrong += 1 }
    }
    #expect(wrong == 0)
  }

  @Test func featuresOnly() async throws {
    let model = try await model()
    let summary = try model.exportCoreML(to: file, options: options(.fp32, featuresOnly: true))
    let index = folder.url("out.safetensors")
    #expect(summary.index?.path == index.path && summary.images == 9)
    let evaluator = try CoreMLEvaluator(file)
    let own = try evaluator.metadata.map(100)
    #expect(Set(own.keys) == ["metric", "extractor", "embeddings"] && own["embeddings"] == "out.safetensors")
    #expect(try evaluator.description.message(10).string(1) == "embedding")
    let table = try EmbeddingTable(
      contentsOf: index, as: .safetensors, records: EmbeddingTable.recordsURL(beside: index))
    #expect(try table.records.map(\.id) == model.ids)
    for (row, record) in table.records.enumerated() {
      let seed = try #require(Int(record.id.dropFirst("picture ".count)))
      let embedding = try evaluator.evaluate(Pictures.make(seed, SmallNet().inputSize))
      #expect(embedding.count == 16)
      for (a, b) in zip(embedding, table.embeddings[row]) { #expect(abs(a - Double(b)) < 1e-4 * max(1, abs(a))) }
    }
  }

  // MARK: Errors

  private func refusal(_ model: SimilarityModel, _ options: CoreMLOptions = CoreMLOptions()) -> SimilarityError? {
    let before = try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)
    let error = #expect(throws: SimilarityError.self) { try model.exportCoreML(to: file, options: options) }
    #expect(before == (try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)))
    return error
  }

  @Test func importedModels() async throws {
    let table = try EmbeddingTable(embeddings: EmbeddingMatrix([[1, 2]]), records: [ImageRecord(id: "a")])
    let error = refusal(try await SimilarityModel.create(at: folder.url("m.imsim"), importing: table))
    #expect(error?.code == .fingerprintMismatch && error?.message.contains("imported") == true)
  }

  @Test func extractorsOfOthers() async throws {
    struct Mean: FeatureExtractor {
      let specification = ExtractorSpecification(
        input: ImageGeometry(size: PixelSize(width: 1, height: 1)),
        fingerprint: ExtractorFingerprint(architecture: "mean-color", dimension: 1))
      func extract(
        _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
      ) {
        for i in 0..<images.count { embeddings[i] = 1 }
      }
    }
    let model = try await SimilarityModel.create(
      at: folder.url("m.imsim"), from: Pictures.collection(2, PixelSize(width: 1, height: 1)), extractor: Mean())
    let error = refusal(model)
    #expect(error?.code == .invalidArgument && error?.message.contains("mean-color") == true)
  }

  @Test func operationsThatTheFileDoesNotHave() async throws {
    struct LargestNet: Backbone {
      let name = "largest-net"
      let inputSize = PixelSize(width: 4, height: 4)
      let preprocessing = Preprocessing.unit
      func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
        let largest = network.reduce(.max, network.pictures(channelsFirst: true), axes: [2, 3], keepsAxes: false)
        return BackboneOutputs(pooled: network.vector([largest]))
      }
    }
    let error = refusal(try await model(LargestNet()))
    #expect(error?.code == .invalidArgument && error?.message.contains("largest-net cannot be exported") == true)
  }

  @Test func twoFilesOfOneName() async throws {
    let model = try await model()
    let url = folder.url("out.safetensors")
    let error = #expect(throws: SimilarityError.self) {
      try model.exportCoreML(to: url, options: options(.fp32, featuresOnly: true))
    }
    #expect(error?.code == .invalidArgument && !FileManager.default.fileExists(atPath: url.path))
  }

  @Test func noPictures() async throws {
    let model = try await model()
    try await model.remove(try model.ids)
    #expect(refusal(model)?.code == .invalidArgument)
    #expect(try model.exportCoreML(to: file, options: options(.fp32, featuresOnly: true)).images == 0)
  }

  @Test func weightsTooLargeForHalves() async throws {
    let extractor = try NetworkExtractor(WideNet(), weights: WideNet().randomWeights(seed: 1))
    let table = try EmbeddingTable(
      embeddings: EmbeddingMatrix([[Float](repeating: 7e4, count: 2048)]), records: [ImageRecord(id: "a")])
    var options = SimilarityModel.Options()
    options.metric = .euclidean
    _ = try await SimilarityModel.create(
      at: folder.url("m.imsim"), importing: table, specification: extractor.specification, options: options)
    let model = try await SimilarityModel.open(at: folder.url("m.imsim"), extractor: extractor)
    let error = refusal(model, self.options(.fp16))
    #expect(error?.code == .invalidArgument && error?.message.contains("65504") == true)
    try model.exportCoreML(to: file, options: self.options(.int8))
  }

  @Test func aFolderThatIsNotThere() async throws {
    let model = try await model()
    let error = #expect(throws: SimilarityError.self) { try model.exportCoreML(to: folder.url("no/out.mlmodel")) }
    #expect(error?.code == .inputOutput)
  }
}
