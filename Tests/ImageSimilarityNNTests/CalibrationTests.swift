import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import Testing

@Suite struct CalibrationTests {
  private let ranges = ["stem": ActivationRange(low: -1.25, high: 0.1), "block.1": ActivationRange(low: 0, high: 6)]

  private var calibration: Calibration {
    Calibration(architecture: "tiny-net", weights: "abc", pictures: 7, ranges: ranges)
  }

  private func withFile<R>(_ text: String, _ body: (URL) throws -> R) throws -> R {
    let url = FileManager.default.temporaryDirectory.appending(path: "calibration-\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: url) }
    try Data(text.utf8).write(to: url)
    return try body(url)
  }

  @Test func fileRoundTrip() throws {
    try withFile("") { url in
      try calibration.write(to: url)
      let read = try Calibration(contentsOf: url)
      #expect(read == calibration && read.digest == calibration.digest)
    }
  }

  @Test func specificationRoundTrip() throws {
    var specification = try NetworkExtractor.bundled().specification
    #expect(try Calibration(storedIn: specification) == nil)
    specification.calibration = try JSONDecoder().decode(JSONValue.self, from: JSONEncoder().encode(calibration))
    #expect(try Calibration(storedIn: specification) == calibration)
    specification.calibration = .object(["format": "imsim-calibration"])
    let error = #expect(throws: SimilarityError.self) { try Calibration(storedIn: specification) }
    #expect(error?.code == .modelCorrupt)
  }

  @Test func digestIsThatOfWhatDecidesAnEmbedding() {
    func digest(
      architecture: String = "tiny-net", weights: String = "abc", pictures: Int = 7, _ change: [String: ActivationRange]
    ) -> String {
      Calibration(
        architecture: architecture, weights: weights, pictures: pictures, ranges: ranges.merging(change) { $1 }
      ).digest
    }
    // printf 'tiny-net\nabc\n7 block.1 0 1086324736\n4 stem 3214934016 1036831949\n' | sha256sum
    #expect(calibration.digest == "c08585fb88c4a421")
    #expect(digest(pictures: 8, [:]) == calibration.digest)
    #expect(digest(["stem": ActivationRange(low: -1.25, high: Float(0.1).nextUp)]) != calibration.digest)
    #expect(digest(["other": ActivationRange(low: 0, high: 0)]) != calibration.digest)
    #expect(digest(architecture: "tiny-net-2", [:]) != calibration.digest)
    #expect(digest(weights: "abd", [:]) != calibration.digest)
    #expect(digest(["block.1": ActivationRange(low: -0.0, high: 6)]) == calibration.digest)
  }

  @Test(arguments: [
    ("", "JSON"), ("{}", "'format' is missing"), ("[]", "expected"), (#"{"format": "x"}"#, "found x"),
    (#"{"format": "imsim-calibration", "version": 2}"#, "found 2"),
    (
      #"{"format": "imsim-calibration", "version": 1, "architecture": "a", "weights": "", "pictures": 1, "ranges": {}}"#,
      "found 1 and 0"
    ),
    (
      #"{"format": "imsim-calibration", "version": 1, "architecture": "a", "weights": "", "pictures": 0, "ranges": {"x": {"low": 0, "high": 1}}}"#,
      "found 0 and 1"
    ),
    (
      #"{"format": "imsim-calibration", "version": 1, "architecture": "a", "weights": "", "pictures": 1, "ranges": {"x": {"low": 2, "high": 1}}}"#,
      "ascending order, found 2.0 and 1.0"
    ),
    (
      #"{"format": "imsim-calibration", "version": 1, "architecture": "a", "weights": "", "pictures": 1, "ranges": {"x": {"low": 0, "high": 1e39}}}"#,
      "no calibration"
    ),
    (
      #"{"format": "imsim-calibration", "version": 1, "architecture": "a", "weights": "", "pictures": 1, "ranges": {"x": {"low": 0}}}"#,
      "'high' is missing"
    ),
  ]) func hostileFileIsExplained(_ text: String, _ reason: String) throws {
    try withFile(text) { url in
      let error = #expect(throws: SimilarityError.self) { try Calibration(contentsOf: url) }
      #expect(error?.code == .invalidArgument)
      #expect(
        error?.message.contains(url.path) == true && error?.message.contains(reason) == true, "\(error?.message ?? "")")
    }
  }

  @Test func largeFileIsNotRead() throws {
    try withFile(String(repeating: " ", count: 4 << 20) + "{}") { url in
      let error = #expect(throws: SimilarityError.self) { try Calibration(contentsOf: url) }
      #expect(error?.message.contains("expected at most 4194304") == true)
    }
  }

  @Test func missingFile() {
    let error = #expect(throws: SimilarityError.self) {
      try Calibration(contentsOf: URL(fileURLWithPath: "/nowhere/scales.json"))
    }
    #expect(error?.code == .inputOutput)
  }

  @Test func rangesUnite() {
    var range = ActivationRange(low: -1, high: 2)
    range.formUnion(ActivationRange(low: 0, high: 3))
    #expect(range == ActivationRange(low: -1, high: 3))
  }

  private func error(_ body: () throws(SimilarityError) -> NetworkExtractor) -> SimilarityError? {
    do throws(SimilarityError) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test func int8NeedsTheCalibrationOfItsNetwork() throws {
    let weights = try NetworkExtractor.bundledWeights()
    let missing = error { () throws(SimilarityError) in
      try NetworkExtractor(EfficientNetLite0(), weights: weights, precision: .int8)
    }
    #expect(missing?.code == .invalidArgument && missing?.message.contains("imsim calibrate") == true)
    let foreign = error { () throws(SimilarityError) in
      try NetworkExtractor.bundled(precision: .int8, calibration: calibration)
    }
    #expect(foreign?.code == .invalidArgument && foreign?.message.contains("belongs to tiny-net") == true)
    let superfluous = error { () throws(SimilarityError) in try NetworkExtractor.bundled(calibration: calibration) }
    #expect(superfluous?.message.contains("not for fp32") == true)
  }

  @Test func precisionsOfFingerprints() throws {
    #expect(try NetworkExtractor.bundled().specification.fingerprint.precision == "fp32")
    #expect(Precision(fingerprint: "int8:0123") == .int8 && Precision(fingerprint: "bf16") == .bf16)
    #expect(Precision(fingerprint: "fp64") == nil)
  }

  @Test func calibrationNeedsPictures() throws {
    let extractor = try NetworkExtractor.bundled()
    let error = #expect(throws: SimilarityError.self) {
      try extractor.calibration(on: ImageBatch(capacity: 1, size: extractor.specification.input.size))
    }
    #expect(error?.message.contains("at least one picture") == true)
  }
}
