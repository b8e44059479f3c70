import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

/// Models that are damaged or hostile: each gives an error that names the file, and never a crash.
@Suite struct DamagedModelTests {
  private let folder: TemporaryFolder

  init() throws {
    folder = try TemporaryFolder()
    let store = try SegmentStore.create(
      at: folder.model, extractor: specification(dimension: 3), metric: .cosine)
    try store.append(EmbeddingMatrix([[1, 2, 3], [4, 5, 6]]), [ImageRecord(id: "a"), ImageRecord(id: "b")])
    try store.append(EmbeddingMatrix([[7, 8, 9], [1, 1, 1]]), [ImageRecord(id: "c"), ImageRecord(id: "d")])
    try store.remove(["d"])
    try store.setSkipped([SkippedImage(id: "x", code: "c", reason: "r")])
  }

  private static let files = [
    "manifest.json", "segments/000001.safetensors", "segments/000001.jsonl", "segments/000002.safetensors",
    "segments/000002.jsonl", "skipped.jsonl",
  ]

  private func url(_ file: String) -> URL { folder.model.appending(path: file) }

  private func openingError(_ comment: Comment? = nil) -> SimilarityError? {
    let error = #expect(throws: SimilarityError.self, comment) { try SegmentStore.open(at: folder.model) }
    return error
  }

  private func replace(_ old: String, by new: String, in file: String = "manifest.json") throws {
    let text = try String(decoding: Data(contentsOf: url(file)), as: UTF8.self)
    let parts = text.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(parts.count == 2, "\(old) is not in \(text)")
    try Data((parts[0] + new + parts[1]).utf8).write(to: url(file))
  }

  @Test(arguments: files) func truncated(file: String) throws {
    let whole = try Data(contentsOf: url(file))
    for count in Set([0, 1, whole.count / 2, whole.count - 1]) where !(file == "skipped.jsonl" && count == 0) {
      if file == "manifest.json", count == whole.count - 1 { continue }  // Only the line feed is missing.
      try whole.prefix(count).write(to: url(file))
      let error = openingError("\(count) bytes")
      #expect(error?.code == .modelCorrupt)
      #expect(error?.message.contains(file) == true, "\(error?.message ?? "")")
    }
  }

  @Test(arguments: files) func garbage(file: String) throws {
    let count = try Data(contentsOf: url(file)).count
    var random = SplitMix64(seed: 1)
    for _ in 0..<20 {
      try Data((0..<count).map { _ in UInt8(random.integer(256)) }).write(to: url(file))
      let error = openingError()
      #expect(error?.code == .modelCorrupt)
      #expect(error?.message.contains(file) == true, "\(error?.message ?? "")")
    }
  }

  /// Single bytes that change may go unnoticed when the model is opened, but crash nothing, and the checksums find them.
  @Test(arguments: files.filter { $0.hasPrefix("segments") }) func changedBytes(file: String) throws {
    let whole = try Data(contentsOf: url(file))
    for position in whole.indices {
      var changed = whole
      changed[position] ^= 0x11
      try changed.write(to: url(file))
      do throws(SimilarityError) {
        let store = try SegmentStore.open(at: folder.model)
        let error = #expect(throws: SimilarityError.self) { try store.verify() }
        #expect(error?.code == .modelCorrupt)
        #expect(error?.message.contains(file) == true)
      } catch {
        #expect(error.code == .modelCorrupt)
      }
    }
  }

  @Test func changedBytesOfTheManifestCrashNothing() throws {
    let whole = try Data(contentsOf: url("manifest.json"))
    for position in whole.indices {
      for change in [UInt8(0x11), 0x04, 0x80] {
        var changed = whole
        changed[position] ^= change
        try changed.write(to: url("manifest.json"))
        do throws(SimilarityError) {
          _ = try SegmentStore.open(at: folder.model)
        } catch {
          #expect([.modelCorrupt, .modelVersion].contains(error.code), "\(error)")
        }
      }
    }
  }

  /// Models whose files change in several places at once. `IMSIM_FUZZ_SECONDS` says for how long.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["IMSIM_FUZZ_SECONDS"] != nil, "needs IMSIM_FUZZ_SECONDS"))
  func fuzz() throws {
    let seconds = ProcessInfo.processInfo.environment["IMSIM_FUZZ_SECONDS"].flatMap(Double.init) ?? 0
    let originals = try Self.files.map { try [UInt8](Data(contentsOf: url($0))) }
    var random = SplitMix64(seed: 9)
    var (made, refused) = (0, 0)
    let start = ContinuousClock.now
    while start.duration(to: .now) < .seconds(seconds) {
      made += 1
      let file = Int(random.integer(UInt64(originals.count)))
      var bytes = originals[file]
      for _ in 0...random.integer(3) where !bytes.isEmpty {
        let place = Int(random.integer(UInt64(bytes.count)))
        switch random.integer(4) {
        case 0: bytes[place] ^= 1 << UInt8(random.integer(8))
        case 1: bytes[place] = UInt8(random.integer(256))
        case 2: bytes.removeSubrange(place...)
        default: bytes.insert(contentsOf: bytes[..<place], at: place)
        }
      }
      try Data(bytes).write(to: url(Self.files[file]))
      do throws(SimilarityError) {
        let store = try SegmentStore.open(at: folder.model)
        for id in store.ids { _ = store.embedding(id) }
        _ = try? store.verify()
      } catch {
        refused += 1
        #expect([.modelCorrupt, .modelVersion].contains(error.code), "\(error)")
      }
      try Data(originals[file]).write(to: url(Self.files[file]))
    }
    print("fuzzed models: \(made), \(refused) refused")
  }

  @Test func verifyNamesEveryDamagedFile() throws {
    for file in ["segments/000001.safetensors", "segments/000002.safetensors"] {
      var data = try Data(contentsOf: url(file))
      data[data.count - 1] ^= 1
      try data.write(to: url(file))
    }
    let store = try SegmentStore.open(at: folder.model)
    try FileManager.default.removeItem(at: url("segments/000002.jsonl"))
    let error = #expect(throws: SimilarityError.self) { try store.verify() }
    for file in ["000001.safetensors", "000002.safetensors", "000002.jsonl"] {
      #expect(error?.message.contains(file) == true)
    }
    #expect(error?.message.contains("000001.jsonl") == false)
  }

  @Test func missingFiles() throws {
    try FileManager.default.removeItem(at: url("segments/000002.safetensors"))
    let error = openingError()
    #expect(error?.code == .modelCorrupt)
    #expect(error?.message.contains("000002.safetensors is missing") == true)
    try FileManager.default.removeItem(at: url("manifest.json"))
    #expect(openingError()?.code == .modelNotFound)
  }

  @Test func laterVersion() throws {
    try replace(#""version":1"#, by: #""version":7,"new":[]"#)
    let error = openingError()
    #expect(error?.code == .modelVersion)
    #expect(error?.message.contains("version 7") == true && error?.message.contains("update") == true)
  }

  @Test(arguments: [
    (#""imsim-model""#, #""zip""#, "expected the format imsim-model"),
    (#""version":1"#, #""version":0"#, "version"),
    (#""000001.safetensors""#, #""../../../etc/passwd""#, "is called"),
    (#""000001.safetensors""#, #""../00001.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""1.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""/000001.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""٠٠٠٠٠١.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""000002.safetensors""#, "belongs to two segments"),
    (#""000001.jsonl""#, #""000003.jsonl""#, "000003.jsonl is missing"),
    (#""removed":[1]"#, #""removed":[2]"#, "row 2 is removed"),
    (#""removed":[1]"#, #""removed":[-1]"#, "row -1 is removed"),
    (#""removed":[1]"#, #""removed":[1,1]"#, "ascending"),
    (#""removed":[1]"#, #""removed":[1e300]"#, "damaged"),
    (#""rows":2"#, #""rows":3"#, "expected a tensor of shape [3, 3], found [2, 3]"),
    (#""rows":2"#, #""rows":0"#, "0 rows"),
    (#""rows":2"#, #""rows":9223372036854775807"#, "rows"),
    (#""dimension":3"#, #""dimension":0"#, "dimension is 0"),
    (#""dimension":3"#, #""dimension":4"#, "expected a tensor of shape [2, 4], found [2, 3]"),
    (#""dimension":3"#, #""dimension":9223372036854775807"#, "dimension"),
    (#""width":8"#, #""width":9223372036854775807"#, "pixels"),
    (#""nextFile":3"#, #""nextFile":9223372036854775807"#, "nextFile"),
    (#""metric":"cosine""#, #""metric":"taxi""#, "taxi"),
    (#""segments":"#, #""parts":"#, "segments is missing"),
  ]) func inconsistentManifest(old: String, new: String, words: String) throws {
    try replace(old, by: new)
    let error = openingError()
    #expect(error?.code == .modelCorrupt)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
  }

  @Test func inconsistentRecords() throws {
    try replace(#"{"id":"b"}"#, by: #"{"id":"a"}"#, in: "segments/000001.jsonl")
    let twice = openingError()
    #expect(twice?.code == .modelCorrupt)
    #expect(twice?.message.contains(#"000001.jsonl is damaged: line 2 has the id "a""#) == true)
    try replace("{\"id\":\"a\"}\n{\"id\":\"a\"}\n", by: "{\"id\":\"a long one\"  }\n", in: "segments/000001.jsonl")
    #expect(openingError()?.message.contains("expected 2 lines, found 1") == true)
    try replace("{\"id\":\"a long one\"  }\n", by: "{\"id\":\"a\"}\n{\"no\":\"b\"}\n", in: "segments/000001.jsonl")
    #expect(openingError()?.message.contains("line 2 is not the JSON expected: id is missing") == true)
  }

  @Test func deepJSONCrashesNothing() throws {
    let deep = #"{"metadata":{"a":"# + String(repeating: "[", count: 100_000)
    try Data(deep.utf8).write(to: url("manifest.json"))
    #expect(openingError()?.code == .modelCorrupt)
    try Data((deep + "\n").utf8).write(to: url("skipped.jsonl"))
    #expect(openingError()?.code == .modelCorrupt)
  }

  @Test func readOnlyFolder() throws {
    let store = try SegmentStore.open(at: folder.model)
    if getuid() == 0 {
      // The superuser may write everywhere, but nobody can write a lock that is a folder.
      try FileManager.default.removeItem(at: url("lock"))
      try FileManager.default.createDirectory(at: url("lock"), withIntermediateDirectories: false)
    }
    for path in [folder.model.path, url("segments").path] {
      try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: path)
    }
    try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: url("lock").path)
    defer {
      for path in [folder.model.path, url("segments").path] {
        try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
      }
    }
    let error = #expect(throws: SimilarityError.self) { try store.remove(["a"]) }
    #expect(error?.code == .inputOutput)
    #expect(try SegmentStore.open(at: folder.model).count == 3)
  }
}
