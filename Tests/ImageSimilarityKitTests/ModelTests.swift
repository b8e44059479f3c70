import FoundationEssentials
import ImageSimilarityKit
import ImageSimilarityTesting
import Synchronization
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// A folder that goes away with the test.
final class TemporaryFolder {
  let url = FileManager.default.temporaryDirectory.appending(path: "imsim-test-\(UUID().uuidString)")

  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(at: url) }

  func url(_ name: String) -> URL { url.appending(path: name) }
}

enum Photos {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  static let bundled = root.appending(path: "Sources/CDemoPhotos/photos")
  static let shared = URL(
    fileURLWithPath: ProcessInfo.processInfo.environment["IMSIM_SHARED"]
      ?? root.deletingLastPathComponent().appending(path: "shared").path)
  static let hasShared = FileManager.default.fileExists(atPath: shared.appending(path: "data").path)

  /// Copies bundled photographs to `folder`.
  static func copy(_ names: [String], to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for name in names {
      try FileManager.default.copyItem(
        at: bundled.appending(path: "\(name).jpg"), to: folder.appending(path: "\(name).jpg"))
    }
  }
}

@Suite struct ModelTests {
  private let names = ["bison", "cat-tabby", "coffee", "moose", "rocket"]

  @Test func createQueryAddRemoveReopen() async throws {
    let folder = try TemporaryFolder()
    let photos = folder.url("photos")
    try Photos.copy(names, to: photos)
    try Data("no picture".utf8).write(to: photos.appending(path: "text.jpg"))
    let url = folder.url("model.imsim")

    let model = try await SimilarityModel.create(at: url, from: .folder(photos))
    #expect(try model.ids == names.map { "\($0).jpg" })
    #expect(try model.skipped.map(\.id) == ["text.jpg"])
    let hits = try await model.query(.file(photos.appending(path: "moose.jpg")), k: 2)
    #expect(hits.map(\.rank) == [1, 2])
    #expect(hits[0].id == "moose.jpg" && hits[0].distance == 0)
    #expect(hits[1].distance > 0)

    // Unchanged, then one new, one changed, one repaired.
    let again = try await model.add(from: .folder(photos))
    #expect(again.indexed == 0 && again.unchanged == 5 && again.skipped.count == 1)
    try Photos.copy(["panda-red"], to: photos)
    try FileManager.default.removeItem(at: photos.appending(path: "coffee.jpg"))
    try FileManager.default.copyItem(
      at: Photos.bundled.appending(path: "pyramid-red.jpg"), to: photos.appending(path: "coffee.jpg"))
    try FileManager.default.removeItem(at: photos.appending(path: "text.jpg"))
    try FileManager.default.copyItem(
      at: Photos.bundled.appending(path: "castle-chambord.jpg"), to: photos.appending(path: "text.jpg"))
    let changed = try await model.add(from: .folder(photos))
    #expect(changed.indexed == 3 && changed.unchanged == 4 && changed.skipped.isEmpty)
    #expect(try model.skipped.isEmpty)

    #expect(try await model.remove(["bison.jpg", "unknown"]) == 1)
    #expect(try !model.contains("bison.jpg"))
    let opened = try await SimilarityModel.open(at: url)
    #expect(try opened.ids == model.ids && opened.count == 6)
    try opened.verify()
    let afterwards = try await opened.query(.file(Photos.bundled.appending(path: "pyramid-red.jpg")), k: 1)
    #expect(afterwards.map(\.id) == ["coffee.jpg"] && afterwards[0].distance == 0)
    let bison = try await opened.query(.file(Photos.bundled.appending(path: "bison.jpg")), radius: 0)
    #expect(bison.isEmpty)
  }

  @Test func queriesOfEveryKindAgree() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(
      at: folder.url("m.imsim"),
      from: .items(
        names.map {
          ImageItem(
            id: $0, source: .file(Photos.bundled.appending(path: "\($0).jpg")), label: "photo", metadata: ["n": 1])
        }))
    let url = Photos.bundled.appending(path: "rocket.jpg")
    let expected = try await model.query(.file(url), k: 3)
    #expect(try await model.query(.data(Data(contentsOf: url)), k: 3) == expected)
    #expect(try await model.query(.id("rocket"), k: 3) == expected)
    let pixels = try VipsImageDecoder().decode(.file(url), as: model.extractor.input)
    #expect(try await model.query(.pixels(pixels), k: 1)[0].distance == 0)
    #expect(expected[0].record.label == "photo" && expected[0].record.metadata == ["n": 1])
    await #expect(throws: SimilarityError.self) { try await model.query(.vector([1, 2]), k: 1) }
    await #expect(throws: SimilarityError.self) { try await model.query(.id("nobody"), k: 1) }
    await #expect(throws: SimilarityError.self) { try await model.query(.file(url), k: 0) }
  }

  /// One picture in a hundred passes, and so do k hits: those of all hits that pass, in their order.
  @Test func filteredQueriesReturnKHits() async throws {
    let folder = try TemporaryFolder()
    let image = { (i: Int) in
      RGBImage(
        size: PixelSize(width: 32, height: 32),
        pixels: (0..<32 * 32 * 3).map { UInt8(truncatingIfNeeded: $0 &* (i % 97 + 1) &+ i) })
    }
    let model = try await SimilarityModel.create(
      at: folder.url("m.imsim"),
      from: .items(
        (0..<400).map {
          ImageItem(
            id: "\($0)", source: .pixels(image($0)), label: $0 % 100 == 7 ? "rare" : "common",
            metadata: ["n": .number(Double($0))])
        }))
    let all = try await model.query(.id("3"), k: 400)
    let expected = all.filter { $0.record.label == "rare" }.map(\.id)
    #expect(expected.count == 4)
    let rare = RecordField.label == "rare"
    #expect(try await model.query(.id("3"), k: 4, where: rare).map(\.id) == expected)
    #expect(try await model.query(.id("3"), k: 3) { $0.label == "rare" }.map(\.id) == Array(expected.prefix(3)))
    #expect(try await model.query(.id("3"), k: 3, where: rare).map(\.rank) == [1, 2, 3])
    #expect(try await model.query(.id("3"), where: RecordField.label == "none").isEmpty)
    let edges = try await model.similarityGraph(k: 3, where: rare)
    #expect(edges.count == 12 && edges.allSatisfy { expected.contains($0.source) && expected.contains($0.target) })

    let report = try await model.annotate([
      ImageAnnotation(id: "1", label: "x", metadata: ["n": .null, "m": 2]), ImageAnnotation(path: "/none"),
    ])
    #expect(report.annotated == 1 && report.unknown == ["/none"])
    let opened = try await SimilarityModel.open(at: folder.url("m.imsim"))
    #expect(try opened.record("1")?.label == "x" && opened.record("1")?.metadata == ["m": 2])
    #expect(try opened.ids(where: RecordField.metadata("m") == 2) == ["1"])
  }

  @Test func graphHasRanksAndNoSelf() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(names, to: folder.url("p"))
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .folder(folder.url("p")))
    let edges = try await model.similarityGraph(k: 2)
    #expect(edges.count == 10)
    #expect(edges.map(\.rank) == (0..<5).flatMap { _ in [1, 2] })
    #expect(edges.allSatisfy { $0.source != $0.target })
    let withSelf = try await model.similarityGraph(k: 1, includeSelf: true)
    #expect(withSelf.allSatisfy { $0.source == $0.target && $0.distance == 0 })
    #expect(try await model.similarityGraph(radius: 0).isEmpty)
  }

  @Test func anotherExtractorIsRefused() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(["moose"], to: folder.url("p"))
    let url = folder.url("m.imsim")
    _ = try await SimilarityModel.create(at: url, from: .folder(folder.url("p")))
    let other = try NetworkExtractor.bundled(resize: .crop)
    let mismatch = await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.open(at: url, extractor: other)
    }
    #expect(mismatch?.code == .fingerprintMismatch)
    let exists = await #expect(throws: SimilarityError.self) { try await SimilarityModel.create(at: url) }
    #expect(exists?.code == .modelExists)
  }

  /// Stands for a network that computes in 8 bits.
  private struct Stub: FeatureExtractor {
    var specification: ExtractorSpecification

    func extract(
      _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
    ) throws(SimilarityError) {
      for i in embeddings.indices { embeddings[i] = 1 }
    }
  }

  /// Counts how many of its calls run at the same time.
  private final class Crowd: FeatureExtractor {
    let specification = ExtractorSpecification(
      input: ImageGeometry(size: PixelSize(width: 8, height: 8)),
      fingerprint: ExtractorFingerprint(architecture: "crowd", dimension: 1))
    private let state = Mutex((now: 0, most: 0))

    var most: Int { state.withLock { $0.most } }

    func extract(
      _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
    ) throws(SimilarityError) {
      state.withLock { state in
        state.now += 1
        state.most = max(state.most, state.now)
      }
      usleep(2000)
      state.withLock { $0.now -= 1 }
    }
  }

  @Test(arguments: 1...3) func threadsAreAsManyAsSaid(_ threads: Int) async throws {
    let crowd = Crowd()
    let image = RGBImage(size: PixelSize(width: 8, height: 8), pixels: Array(repeating: 0, count: 192))
    let items = (0..<400).map { ImageItem(id: "\($0)", source: .pixels(image)) }
    let embedder = ImageEmbedder(decoder: VipsImageDecoder(), extractor: crowd, threads: threads)
    var ids: [String] = []
    try await embedder.embed(.items(items)) { ids += $0.items.map(\.id) }
    #expect(ids == items.map(\.id))
    #expect((1...threads).contains(crowd.most))
  }

  @Test func aModelOfAnEarlierRevisionIsRefusedWithAdvice() async throws {
    let folder = try TemporaryFolder()
    let current = try NetworkExtractor.bundled()
    var earlier = Stub(specification: current.specification)
    earlier.specification.fingerprint.revision -= 1
    let url = folder.url("m.imsim")
    _ = try await SimilarityModel.create(at: url, extractor: earlier)
    let error = await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.open(at: url, extractor: current)
    }
    #expect(error?.code == .fingerprintMismatch)
    #expect(error?.message.hasSuffix("index the pictures into a new model") == true)
  }

  @Test func precisionsAreNotMixedAndTheCalibrationStaysWithTheModel() async throws {
    let folder = try TemporaryFolder()
    let exact = try NetworkExtractor.bundled()
    let calibration = Calibration(
      architecture: exact.specification.fingerprint.architecture, weights: exact.specification.fingerprint.weights,
      pictures: 3, ranges: ["stem": ActivationRange(low: -0.1, high: 6)])
    var stub = Stub(specification: exact.specification)
    stub.specification.fingerprint.precision = "int8:\(calibration.digest)"
    stub.specification.calibration = try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(calibration))
    try Photos.copy(["moose"], to: folder.url("p"))
    let url = folder.url("m.imsim")
    _ = try await SimilarityModel.create(at: url, from: .folder(folder.url("p")), extractor: stub)

    let opened = try await SimilarityModel.open(at: url)
    #expect(opened.extractor == stub.specification)
    #expect(try Calibration(storedIn: opened.extractor) == calibration)
    let error = await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.open(at: url, extractor: exact)
    }
    #expect(error?.code == .fingerprintMismatch)
    #expect(error?.message.contains("int8:\(calibration.digest)") == true && error?.message.contains("fp32") == true)
  }

  @Test(.enabled(if: true, "needs int8"))
  func int8ModelOpensAgainByItself() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(names, to: folder.url("p"))
    let url = folder.url("m.imsim")
    let calibration = try await NetworkExtractor.bundled().calibration(on: .folder(folder.url("p")))
    #expect(calibration.pictures == 5)
    let extractor = try NetworkExtractor.bundled(precision: .int8, calibration: calibration)
    _ = try await SimilarityModel.create(at: url, from: .folder(folder.url("p")), extractor: extractor)

    let opened = try await SimilarityModel.open(at: url)
    let hits = try await opened.query(.file(Photos.bundled.appending(path: "moose.jpg")), k: 1)
    #expect(hits.map(\.id) == ["moose.jpg"] && hits[0].distance == 0)
    try Photos.copy(["panda-red"], to: folder.url("p"))
    #expect(try await opened.add(from: .folder(folder.url("p"))).indexed == 1)
  }

  @Test func calibrationPicturesAreSpreadEvenly() async throws {
    func picks(_ count: Int, _ limit: Int) async throws -> [Int] {
      let items = (0..<count).map { ImageItem(id: "\($0)", source: .data(Data())) }
      return try await ImageCollection.items(items).spread(limit).compactMap { Int($0.id) }
    }
    #expect(try await picks(0, 4).isEmpty)
    #expect(try await picks(3, 4) == [0, 1, 2])
    #expect(try await picks(4, 4) == [0, 1, 2, 3])
    #expect(try await picks(7, 4) == [0, 1, 3, 5])
    #expect(try await picks(1000, 1).count == 1)
    for count in [9, 100, 127, 128, 129, 1000] {
      let found = try await picks(count, 8)
      #expect(found.count == 8 && found == Array(Set(found)).sorted() && found[0] == 0)
      // Neighbours are at most twice as far apart as they would be at best, and so is the last one from the end.
      #expect(zip(found, found.dropFirst() + [count]).allSatisfy { $1 - $0 <= (count + 3) / 4 }, "\(count): \(found)")
    }
  }

  @Test func calibrationNeedsAReadablePicture() async throws {
    let items = [ImageItem(id: "a", source: .data(Data("no picture".utf8)))]
    let error = await #expect(throws: SimilarityError.self) {
      try await NetworkExtractor.bundled().calibration(on: .items(items))
    }
    #expect(error?.message.contains("none of 1 pictures") == true)
  }

  @Test func whatTheFolderWalkRefusesIsListedOnce() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(["moose"], to: folder.url("p"))
    try FileManager.default.createSymbolicLink(
      at: folder.url("p").appending(path: "dangling.jpg"), withDestinationURL: folder.url("nowhere"))
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .folder(folder.url("p")))
    try await model.add(from: .folder(folder.url("p")))
    #expect(try model.skipped.map(\.id) == ["dangling.jpg"])
  }

  @Test func emptyFolderMakesNoModel() async throws {
    let folder = try TemporaryFolder()
    try FileManager.default.createDirectory(at: folder.url("empty"), withIntermediateDirectories: true)
    await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.create(at: folder.url("m"), from: .folder(folder.url("empty")))
    }
    #expect(!SimilarityModel.exists(at: folder.url("m")))
  }

  @Test func cancelledIndexingKeepsWhatIsDone() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"))
    let url = Photos.bundled.appending(path: "moose.jpg")
    let items = AsyncStream<ImageItem> { continuation in
      for i in 0..<100_000 { continuation.yield(ImageItem(id: "\(i)", source: .file(url))) }
      continuation.finish()
    }
    let task = Task { try await model.add(from: .sequence(items)) }
    try await Task.sleep(for: .milliseconds(300))
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    let opened = try await SimilarityModel.open(at: folder.url("m.imsim"))
    #expect(opened.count == model.count && opened.count < 100_000)
    // In order, without gaps.
    #expect(try (0..<opened.count).allSatisfy { try opened.contains("\($0)") })
  }

  @Test func twoFilesOfOneIDAreNotMixedUp() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(["moose"], to: folder.url("a"))
    try FileManager.default.createDirectory(at: folder.url("b"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: Photos.bundled.appending(path: "bison.jpg"), to: folder.url("b").appending(path: "moose.jpg"))
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .folder(folder.url("a")))
    let report = try await model.add(from: .folder(folder.url("b")))
    #expect(report.indexed == 0 && report.skipped.count == 1)
    #expect(report.skipped[0].reason.contains("already has the id 'moose.jpg'"))
  }

  @Test func embeddingsAsNumPyArray() async throws {
    let folder = try TemporaryFolder()
    try Photos.copy(names, to: folder.url("p"))
    try Data().write(to: folder.url("p").appending(path: "d.jpg"))
    let extractor = try NetworkExtractor.bundled()
    let embedder = ImageEmbedder(decoder: VipsImageDecoder(), extractor: extractor, threads: 2)
    let report = try await embedder.write(.folder(folder.url("p")), to: folder.url("f.npy"))
    #expect(report.indexed == 5 && report.skipped.map(\.id) == ["d.jpg"])
    let matrix = try NumPyFile.read(contentsOf: folder.url("f.npy"))
    #expect(matrix.rows == 5 && matrix.dimension == 1280)
    let lines = try String(contentsOf: folder.url("f.jsonl"), encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 5)
    for (row, name) in names.enumerated() {
      #expect(lines[row].contains("/\(name).jpg"))
      #expect(try await embedder.embed(.file(Photos.bundled.appending(path: "\(name).jpg"))) == matrix[row])
    }
  }
}

/// Against the same network fed by Pillow's bicubic and run by onnxruntime (Scripts/goldens/retrieval.py).
@Suite struct RetrievalTests {
  private struct Reference: Decodable {
    struct Result: Decodable {
      var backbone, resize: String
      var precisionAt1, meanAveragePrecision: Double

      private enum CodingKeys: String, CodingKey {
        case backbone, resize
        case precisionAt1 = "precision_at_1"
        case meanAveragePrecision = "mean_average_precision"
      }
    }
    var results: [Result]
  }

  /// The reference is in fp32. Reduced precisions keep the mean average precision within half a point.
  @Test(
    .enabled(if: Photos.hasShared, "needs ../shared"),
    arguments: [(ResizeMode.pad, Precision.fp32), (.squash, .fp32), (.pad, .bf16), (.pad, .int8)])
  func qualityEqualsTheReference(_ mode: ResizeMode, _ precision: Precision) async throws {
    let goldens = Photos.root.appending(path: "Tests/ImageSimilarityKitTests/Goldens/retrieval.json")
    let reference = try JSONDecoder().decode(Reference.self, from: Data(contentsOf: goldens))
    let expected = try #require(
      reference.results.first { $0.backbone == "efficientnet-lite0" && $0.resize == mode.rawValue })
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(
      at: folder.url("m.imsim"), from: .folder(Photos.shared.appending(path: "data/caltech101-20")),
      extractor: NetworkExtractor.bundled(resize: mode, precision: precision))
    #expect(model.count == 2020)
    let found = try await model.evaluate()
    #expect(abs(found.precisionAt1 - expected.precisionAt1) < 0.01)
    #expect(abs(found.meanAveragePrecision - expected.meanAveragePrecision) < (precision == .fp32 ? 0.01 : 0.005))
  }

  @Test(.enabled(if: Photos.hasShared, "needs ../shared"))
  func orientationsAreMutuallyNearest() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(
      at: folder.url("m.imsim"), from: .folder(Photos.shared.appending(path: "data/hostile")))
    let orientations = try model.ids.filter { $0.contains("exif-orientation/Landscape_") }
    #expect(orientations.count == 9)
    for id in orientations {
      let hits = try await model.query(.id(id), k: 9)
      #expect(Set(hits.map(\.id)) == Set(orientations), "\(id)")
    }
  }
}
