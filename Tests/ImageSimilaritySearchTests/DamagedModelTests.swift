import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilaritySearch
import Testing

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
    "manifest.json", "segments/000001.safetensors", "segments/000001.jsonl", "segments/000001.lookup.safetensors",
    "segments/000002.safetensors", "segments/000002.jsonl", "segments/000002.lookup.safetensors",
    "segments/000003.removed", "segments/000004.skipped.jsonl",
  ]

  private func url(_ file: String) -> URL { folder.model.appending(path: file) }

  private func openingError(_ comment: Comment? = nil) -> SimilarityError? {
    let error = #expect(throws: SimilarityError.self, comment) { try SegmentStore.open(at: folder.model) }
    return error
  }

  /// What is said of a model when it is opened or read.
  private func complaint() throws -> String {
    do {
      let store = try SegmentStore.open(at: folder.model)
      if let damaged = store.damaged.first { return damaged.reason }
      for segment in store.segments { try segment.verifyCodes() }
      _ = try Contents(store)
      Issue.record("the damage was not found")
      return ""
    } catch let error as SimilarityError {
      #expect(error.code == .modelCorrupt)
      return error.message
    }
  }

  /// Changes the manifest, and its digest where it shall be believed.
  private func replace(_ old: String, by new: String, sealing: Bool = true) throws {
    let url = url("manifest.json")
    let text = try String(decoding: Data(contentsOf: url), as: UTF8.self)
    let parts = text.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(parts.count == 2, "\(old) is not in \(text)")
    let changed = String(parts[0] + new + parts[1])
    guard sealing, let end = changed.range(of: ",\"sha256\":\"", options: .backwards)?.lowerBound else {
      return try Data(changed.utf8).write(to: url)
    }
    let body = changed[..<end]
    try Data((body + ",\"sha256\":\"\(SHA256.hexDigest(of: Data(body.utf8)))\"}\n").utf8).write(to: url)
  }

  @Test(arguments: files) func truncated(file: String) throws {
    let whole = try Data(contentsOf: url(file))
    for count in Set([0, 1, whole.count / 2, whole.count - 1]) where count < whole.count {
      try whole.prefix(count).write(to: url(file))
      #expect(try complaint().contains(file), "\(count) bytes")
    }
  }

  @Test(arguments: files) func garbage(file: String) throws {
    let whole = try Data(contentsOf: url(file))
    var random = SplitMix64(seed: 1)
    for _ in 0..<20 {
      let garbage = Data(whole.indices.map { _ in UInt8(random.integer(256)) })
      if garbage == whole { continue }
      try garbage.write(to: url(file))
      #expect(try complaint().contains(file))
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
        for id in try store.ids { _ = try store.embedding(id) }
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
    for file in ["segments/000001.safetensors", "segments/000002.safetensors", "segments/000004.skipped.jsonl"] {
      var data = try Data(contentsOf: url(file))
      data[data.count - 1] ^= 1
      try data.write(to: url(file))
    }
    let store = try SegmentStore.open(at: folder.model)
    try FileManager.default.removeItem(at: url("segments/000002.jsonl"))
    let error = #expect(throws: SimilarityError.self) { try store.verify() }
    for file in ["000001.safetensors", "000002.safetensors", "000002.jsonl", "000004.skipped.jsonl"] {
      #expect(error?.message.contains(file) == true, "\(error?.message ?? "")")
    }
    #expect(error?.message.contains("000001.jsonl") == false)
  }

  @Test func theRestStaysUsable() throws {
    try FileManager.default.removeItem(at: url("segments/000002.lookup.safetensors"))
    let store = try SegmentStore.open(at: folder.model)
    #expect(store.damaged.count == 1)
    #expect(store.damaged[0].reason.contains("000002.lookup.safetensors is missing"))
    #expect(store.damaged[0].files.contains("000002.safetensors") && store.damaged[0].rows == 1)
    #expect(try store.count == 2 && store.ids == ["a", "b"] && store.embedding("b") == [4, 5, 6])
    #expect(try store.record("c") == nil)
    let refused = #expect(throws: SimilarityError.self) { try store.remove(["a"]) }
    #expect(refused?.code == .modelCorrupt)
    #expect(refused?.message.contains("repair") == true && refused?.message.contains("000002") == true)

    #expect(try store.repair().map(\.rows) == [1])
    #expect(store.damaged.isEmpty)
    #expect(throws: Never.self) { try store.verify() }
    try store.append(EmbeddingMatrix([[7, 8, 9]]), [ImageRecord(id: "c")])
    #expect(try SegmentStore.open(at: folder.model).ids == ["a", "b", "c"])
    try FileManager.default.removeItem(at: url("manifest.json"))
    #expect(openingError()?.code == .modelNotFound)
  }

  /// Damage that does not show when a model is opened.
  @Test func repairFindsWhatOpeningDoesNot() throws {
    for file in ["segments/000001.safetensors", "segments/000004.skipped.jsonl"] {
      var data = try Data(contentsOf: url(file))
      data[data.count - 30] ^= 4
      try data.write(to: url(file))
    }
    let store = try SegmentStore.open(at: folder.model)
    #expect(store.damaged.isEmpty && store.count == 3)
    let damaged = try store.repair()
    #expect(damaged.count == 1 && damaged[0].rows == 2 && damaged[0].reason.contains("000001.safetensors"))
    #expect(try store.ids == ["c"] && store.skipped.isEmpty)
    #expect(throws: Never.self) { try SegmentStore.open(at: folder.model).verify() }
    #expect(try store.repair().isEmpty)
  }

  @Test func laterVersion() throws {
    try replace(#""version":3"#, by: #""version":7,"new":[]"#, sealing: false)
    let error = openingError()
    #expect(error?.code == .modelVersion)
    #expect(error?.message.contains("version 7") == true && error?.message.contains("update") == true)
  }

  @Test(arguments: [
    (#""imsim-model""#, #""zip""#, "expected the format imsim-model"),
    (#""version":3"#, #""version":0"#, "version"),
    (#""000001.safetensors""#, #""../../../etc/passwd""#, "is called"),
    (#""000001.safetensors""#, #""../00001.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""1.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""/000001.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""٠٠٠٠٠١.safetensors""#, "is called"),
    (#""000001.safetensors""#, #""000002.safetensors""#, "000002.safetensors"),
    (#""000001.jsonl""#, #""000009.jsonl""#, "000009.jsonl is missing"),
    (#""000003.removed""#, #""000003.jsonl""#, "is called"),
    (#""rows":2"#, #""rows":3"#, "expected"),
    (#""rows":2"#, #""rows":0"#, "0 rows"),
    (#""rows":2"#, #""rows":9223372036854775807"#, "rows"),
    (#""dimension":3"#, #""dimension":0"#, "dimension is 0"),
    (#""dimension":3"#, #""dimension":4"#, "expected"),
    (#""dimension":3"#, #""dimension":9223372036854775807"#, "dimension"),
    (#""width":8"#, #""width":9223372036854775807"#, "pixels"),
    (#""nextFile":5"#, #""nextFile":9223372036854775807"#, "nextFile"),
    (#""metric":"cosine""#, #""metric":"taxi""#, "taxi"),
    (#""precision":"fp32","segments""#, #""precision":"fp64","segments""#, "fp64"),
    (#""precision":"fp32","segments""#, #""precision":"fp16","segments""#, "expected"),
    (#""segments":"#, #""parts":"#, "segments is missing"),
  ]) func inconsistentManifest(old: String, new: String, words: String) throws {
    try replace(old, by: new)
    let complaint = try complaint()
    #expect(complaint.contains(words), "\(complaint)")
    try replace(new, by: old)
    #expect(throws: Never.self) { try SegmentStore.open(at: folder.model).verify() }
  }

  @Test func deepJSONCrashesNothing() throws {
    let deep = #"{"metadata":{"a":"# + String(repeating: "[", count: 100_000)
    try Data(deep.utf8).write(to: url("manifest.json"))
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
