import FoundationEssentials
import ImageSimilarityKit
import Testing

/// Models as files of other programs, and the other way round.
@Suite struct InterchangeTests {
  private let folder: TemporaryFolder
  private let table: EmbeddingTable

  init() throws {
    folder = try TemporaryFolder()
    table = try EmbeddingTable(
      embeddings: EmbeddingMatrix([[1, 2], [-3, 4], [0.5, 0], [9, 9]]),
      records: [
        ImageRecord(id: "d", label: "x"), ImageRecord(id: "b", metadata: ["n": 1]), ImageRecord(id: "a"),
        ImageRecord(id: "c"),
      ])
  }

  private func model(_ metric: Metric = .euclidean) async throws -> SimilarityModel {
    var options = SimilarityModel.Options()
    options.metric = metric
    return try await SimilarityModel.create(at: folder.url("m.imsim"), importing: table, options: options)
  }

  @Test(arguments: EmbeddingTable.Format.allCases) func exportIsByID(_ format: EmbeddingTable.Format) async throws {
    let model = try await model()
    try await model.remove(["c"])
    try await model.add(
      importing: EmbeddingTable(embeddings: EmbeddingMatrix([[7, 7]]), records: [ImageRecord(id: "a")]))
    let url = folder.url("out.\(format.rawValue)")
    #expect(try model.export(to: url, as: format) == 3)
    let read = try EmbeddingTable(contentsOf: url, as: format, records: EmbeddingTable.recordsURL(beside: url))
    #expect(read.records == [ImageRecord(id: "a"), table.records[1], table.records[0]])
    #expect((0..<3).map { read.embeddings[$0] } == [[7, 7], [-3, 4], [1, 2]])
    #expect(read.metric == (format == .faiss ? .euclidean : nil))
  }

  @Test func anEmptyModelIsExported() async throws {
    let model = try await model()
    try await model.remove(try model.ids)
    let url = folder.url("out.npy")
    #expect(try model.export(to: url, as: .numPy) == 0)
    let read = try EmbeddingTable(contentsOf: url, as: .numPy)
    #expect(read.embeddings.rows == 0 && read.embeddings.dimension == 2)
  }

  @Test func importedEmbeddingsAreSearchedByIDAndVector() async throws {
    let model = try await model()
    #expect(try await model.query(.id("a"), k: 2).map(\.id) == ["a", "d"])
    #expect(try await model.query(.vector([-3, 4]), k: 1).map(\.distance) == [0])
    let reopened = try await SimilarityModel.open(at: model.url)
    #expect(try reopened.record("b")?.metadata == ["n": 1])
    let image = RGBImage(size: PixelSize(width: 1, height: 1), pixels: [1, 2, 3])
    let error = await #expect(throws: SimilarityError.self) { try await reopened.query(.pixels(image)) }
    #expect(error?.code == .fingerprintMismatch && error?.message.contains("search it by id or by vector") == true)
  }

  @Test func importedElementsAreStoredAsWanted() async throws {
    var options = SimilarityModel.Options()
    options.elements = .fp16
    let model = try await SimilarityModel.create(at: folder.url("half.imsim"), importing: table, options: options)
    #expect(model.summary().elements == .fp16)
  }

  /// An extractor that this package does not know is made when the first picture needs it.
  @Test func theExtractorIsMadeByTheCaller() async throws {
    struct Corner: FeatureExtractor {
      let specification = ExtractorSpecification(
        input: ImageGeometry(size: PixelSize(width: 2, height: 2)),
        fingerprint: ExtractorFingerprint(architecture: "corner", dimension: 2))
      func makeWorkspace() {}
      func extract(
        _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
      ) throws(SimilarityError) {
        for i in 0..<embeddings.count { embeddings[i] = Float(i + 1) }
      }
    }
    let url = folder.url("corner.imsim")
    let made = try await SimilarityModel.create(
      at: url, importing: table, specification: Corner().specification)
    let image = RGBImage(size: PixelSize(width: 2, height: 2), pixels: [UInt8](repeating: 9, count: 12))
    await #expect(throws: SimilarityError.self) { try await made.query(.pixels(image)) }

    var options = SimilarityModel.Options()
    options.makeExtractor = { _ in Corner() }
    let reopened = try await SimilarityModel.open(at: url, options: options)
    #expect(try await reopened.query(.pixels(image), k: 1).map(\.id) == ["d"])
  }

  @Test func theSpecificationHasTheDimension() async throws {
    let error = await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.create(
        at: folder.url("m.imsim"), importing: table, specification: .imported(dimension: 3))
    }
    #expect(error?.code == .dimensionMismatch)
    #expect(!SimilarityModel.exists(at: folder.url("m.imsim")))
  }
}
