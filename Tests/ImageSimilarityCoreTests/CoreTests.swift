import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityTesting
import Testing

@Suite struct CoreTests {
  @Test func batchGrowsOnlyByWhatSucceeds() throws {
    var batch = ImageBatch(capacity: 2, size: PixelSize(width: 1, height: 1))
    batch.append { $0[0] = 7 }
    #expect(throws: SimilarityError.self) {
      try batch.append { _ throws(SimilarityError) in throw SimilarityError(.imageCorrupt, "broken") }
    }
    #expect(batch.count == 1)
    batch.append { $0[0] = 9 }
    let firsts = (0..<2).map { image in batch.withPixels(ofImage: image) { $0[0] } }
    #expect(firsts == [7, 9])
  }

  @Test func matrixRowsShareStorage() {
    let matrix = EmbeddingMatrix([[1, 2], [3, 4], [5, 6]])
    let tail = matrix[rows: 1..<3]
    #expect(tail.rows == 2 && tail[0] == [3, 4] && tail[1] == [5, 6])
    #expect(EmbeddingMatrix([[1], [.nan]]).firstNonFiniteRow() == 1)
    #expect(matrix.firstNonFiniteRow() == nil)
  }

  @Test(arguments: [SearchRequest(), SearchRequest(k: 0), SearchRequest(radius: -1), SearchRequest(radius: .nan)])
  func requestsForNothingAreRefused(_ request: SearchRequest) {
    let error = #expect(throws: SimilarityError.self) { try request.validate(for: .cosine) }
    #expect(error?.code == .invalidArgument)
  }

  @Test func neighborsSortByDistanceThenID() {
    let sorted = [Neighbor(id: "b", distance: 1), Neighbor(id: "c", distance: 0), Neighbor(id: "a", distance: 1)]
      .sorted()
    #expect(sorted.map(\.id) == ["c", "a", "b"])
  }

  @Test func metadataSurvivesJSON() throws {
    let value: JSONValue = ["a": 1.5, "b": ["x", true], "c": .null]
    #expect(try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(value)) == value)
  }

  @Test func fingerprintWithoutPrecisionIsSinglePrecision() throws {
    let old = #"""
      {"architecture": "a", "weights": "", "preprocessing": "", "layer": "", "dimension": 3, "revision": 1}
      """#
    var fingerprint = try JSONDecoder().decode(ExtractorFingerprint.self, from: Data(old.utf8))
    #expect(fingerprint == ExtractorFingerprint(architecture: "a", dimension: 3))
    #expect(fingerprint.precision == "fp32")
    fingerprint.precision = "bf16"
    #expect(try JSONDecoder().decode(ExtractorFingerprint.self, from: JSONEncoder().encode(fingerprint)) == fingerprint)
    #expect("\(fingerprint)" == "a, 3-d, bf16, revision 1")
  }

  /// An extractor that depends on the position in the batch breaks its promise, and the suite says so.
  @Test func conformanceSuiteFindsABrokenExtractor() async {
    struct Broken: FeatureExtractor {
      let specification = ExtractorSpecification(
        input: ImageGeometry(size: PixelSize(width: 2, height: 2)),
        fingerprint: ExtractorFingerprint(architecture: "broken", dimension: 1))

      func extract(
        _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
      ) {
        for i in 0..<images.count {
          embeddings[i] = images.withPixels(ofImage: i) { Float($0[0]) } + Float(i)
        }
      }
    }
    await #expect(throws: ConformanceFailure.self) { try await ExtractorConformance.check(Broken()) }
  }
}
