import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Every byte of all files of a small model, changed in turn: each change is detected, with the file's name, or harmless.
@Suite struct ByteFlipTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// All that a model is asked for.
  private struct Answers: Hashable {
    var records: [String: ImageRecord] = [:]
    var embeddings: [String: [Float]] = [:]
    var searched: [String: [Float]] = [:]
    var attachment: Data?
    var projection: LearnedProjection?
    var codes: [[UInt8]] = []
    var columns: [[Double]] = []
    var skipped: [SkippedImage]

    init(_ store: SegmentStore) throws {
      skipped = try store.skipped
      attachment = try store.attachment("a")
      projection = try store.projection
      for segment in store.segments {
        for row in 0..<segment.rows where segment.isLive(row) {
          let id = try segment.id(row)
          records[id] = try store.record(id)
          embeddings[id] = try store.embedding(id)
          searched[id] = try store.searchedVector(id)
        }
        try segment.verifyCodes()
        let vectors = segment.vectors
        codes.append((0..<vectors.codes.count).map { vectors.codes[$0] })
        for row in 0..<vectors.rows {
          columns.append([
            Double(vectors.scales[row]), Double(vectors.zeros[row]), Double(vectors.sums[row]),
            Double(vectors.errors[row]), vectors.squaredNorms[row],
          ])
        }
      }
    }
  }

  @Test(arguments: ElementPrecision.allCases) func everyByte(precision: ElementPrecision) throws {
    let store = try SegmentStore.create(
      at: folder.model, extractor: specification(dimension: 3), metric: .cosine, precision: precision)
    try store.append(
      EmbeddingMatrix([[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
      [ImageRecord(id: "a", path: "/a.jpg"), ImageRecord(id: "b", label: "b"), ImageRecord(id: "c")])
    try store.append(EmbeddingMatrix([[0.5, 8, 9]]), [ImageRecord(id: "d", path: "/d.jpg", bytes: 5, modified: 7)])
    try store.remove(["b"])
    try store.setSkipped([SkippedImage(id: "x", code: "c", reason: "r")])
    try store.setAttachment("a", Data("{}".utf8))
    try store.setProjection(projection([[1, 0, 0]]))
    try store.setProjection(projection([[1, 2, 3], [3, 2, 1]]))
    store.close()
    let expected = try Answers(SegmentStore.open(at: folder.model))
    #expect(expected.records.count == 3 && expected.skipped.count == 1)

    var flips = 0
    for path in try paths(folder.model) where path != "lock" && path != "segments" {
      let url = folder.model.appending(path: path)
      let name = url.lastPathComponent
      let whole = try Data(contentsOf: url)
      for position in whole.indices {
        var changed = whole
        changed[position] ^= 1 << UInt8((position &* 5 &+ position >> 3) % 8)
        try changed.write(to: url)
        flips += 1
        do {
          let opened = try SegmentStore.open(at: folder.model)
          #expect(throws: SimilarityError.self, "\(path), byte \(position)") { try opened.verify() }
          if opened.damaged.isEmpty {
            #expect(try Answers(opened) == expected, "\(path), byte \(position)")
          } else {
            #expect(opened.damaged.count == 1 && opened.damaged[0].reason.contains(name))
            // The rest is as it was.
            let rest = try Answers(opened)
            #expect(!rest.records.isEmpty && rest.records.allSatisfy { expected.records[$0.key] == $0.value })
            #expect(rest.embeddings.allSatisfy { expected.embeddings[$0.key] == $0.value })
          }
        } catch let error as SimilarityError {
          #expect([.modelCorrupt, .modelVersion].contains(error.code))
          #expect(error.message.contains(name), "\(path), byte \(position): \(error.message)")
        }
      }
      try whole.write(to: url)
    }
    #expect(flips > 4000)
    #expect(try Answers(SegmentStore.open(at: folder.model)) == expected)
  }
}
