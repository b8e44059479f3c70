import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilaritySearch
import Synchronization
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Models of version 1 of the format: an array of removed rows in the manifest, no codes, `skipped.jsonl` beside it.
@Suite struct UpgradeTests {
  private let folder: TemporaryFolder
  private let expected: Contents

  init() throws {
    folder = try TemporaryFolder()
    let segments = folder.model.appending(path: "segments")
    try FileManager.default.createDirectory(at: segments, withIntermediateDirectories: true)
    func entry(_ file: String) throws -> [String: JSONValue] {
      let data = try Data(contentsOf: segments.appending(path: file))
      return [
        "file": .string(file), "bytes": .number(Double(data.count)), "sha256": .string(SHA256.hexDigest(of: data)),
      ]
    }
    func segment(_ number: Int, _ rows: [[Float]], _ ids: [String], removed: [Int]) throws -> JSONValue {
      var tensors = SafetensorsWriter()
      tensors.add("embeddings", EmbeddingMatrix(rows))
      let name = "00000\(number)"
      try tensors.write(to: segments.appending(path: name + ".safetensors"))
      let lines = ids.map { "{\"id\":\"\($0)\",\"path\":\"/\($0)\"}\n" }.joined()
      try Data(lines.utf8).write(to: segments.appending(path: name + ".jsonl"))
      return .object([
        "rows": .number(Double(rows.count)), "embeddings": .object(try entry(name + ".safetensors")),
        "records": .object(try entry(name + ".jsonl")), "removed": .array(removed.map { .number(Double($0)) }),
      ])
    }
    let parts = [
      try segment(1, [[1, 2], [3, 4], [5, 6]], ["a", "b", "c"], removed: [1]),
      try segment(2, [[7, 8]], ["b"], removed: []),
      try segment(4, [[9, 9]], ["gone"], removed: [0]),
    ]
    let extractor = try JSONDecoder().decode(
      JSONValue.self, from: JSONEncoder().encode(specification(dimension: 2)))
    let manifest: [String: JSONValue] = [
      "format": "imsim-model", "version": 1, "metric": "euclidean", "extractor": extractor, "nextFile": 5,
      "segments": .array(parts),
    ]
    try JSONEncoder().encode(manifest).write(to: folder.model.appending(path: "manifest.json"))
    try Data("{\"id\":\"x\",\"code\":\"c\",\"reason\":\"r\"}\n".utf8).write(
      to: folder.model.appending(path: "skipped.jsonl"))

    var contents = Contents()
    for (id, embedding) in [("a", [1, 2]), ("b", [7, 8]), ("c", [5, 6])] as [(String, [Float])] {
      contents.images[id] = .init(record: ImageRecord(id: id, path: "/" + id), embedding: embedding)
    }
    contents.skipped = [SkippedImage(id: "x", code: "c", reason: "r")]
    expected = contents
  }

  @Test func openingSaysWhatToDo() throws {
    let error = #expect(throws: SimilarityError.self) { try SegmentStore.open(at: folder.model) }
    #expect(error?.code == .modelVersion)
    #expect(error?.message.contains("imsim upgrade \(folder.model.path)") == true)
  }

  @Test func everyMomentIsTheOldOrTheNewModel() throws {
    let moments = Mutex<[(URL, SegmentStore.Step)]>([])
    let folder = folder
    #expect(
      try SegmentStore.upgrade(at: folder.model) { step in
        moments.withLock { moments in
          let copy = folder.url.appending(path: "moment \(moments.count)")
          do {
            try FileManager.default.copyItem(at: folder.model, to: copy)
            moments.append((copy, step))
          } catch {
            Issue.record(error)
          }
        }
      })
    for (moment, step) in moments.withLock({ $0 }) + [(folder.model, .committed)] {
      let isOld: Bool = if case .committed = step { false } else { true }
      #expect(try SegmentStore.upgrade(at: moment) == isOld)
      let store = try SegmentStore.open(at: moment)
      #expect(try Contents(store) == expected)
      #expect(store.metric == .euclidean && store.precision == .fp32)
      #expect(throws: Never.self) { try store.verify() }
      try store.remove(["a"])
      #expect(!FileManager.default.fileExists(atPath: moment.appending(path: "skipped.jsonl").path))
      #expect(!FileManager.default.fileExists(atPath: moment.appending(path: "segments/000001.safetensors").path))
    }
    #expect(moments.withLock { $0.count } == 8)
  }

  @Test func damagedModelsStayAsTheyAre() throws {
    let file = folder.model.appending(path: "segments/000002.jsonl")
    var data = try Data(contentsOf: file)
    data[data.count / 2] ^= 1
    try data.write(to: file)
    let before = try paths(folder.model)
    let error = #expect(throws: SimilarityError.self) { try SegmentStore.upgrade(at: folder.model) }
    #expect(error?.code == .modelCorrupt && error?.message.contains("000002.jsonl") == true)
    #expect(try paths(folder.model) == (before + ["lock"]).sorted())
  }
}
