import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A model's embeddings stay as they are; what is searched is what a projection makes of them.
@Suite struct ProjectedStoreTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static func record(_ id: String) -> ImageRecord { ImageRecord(id: id, path: "/\(id)") }

  /// All that is searched is what `projection` makes of what is stored.
  private func check(_ store: SegmentStore, _ projection: LearnedProjection?, _ comment: Comment) throws {
    for store in [store, try SegmentStore.open(at: folder.model)] {
      #expect(try store.projection == projection, comment)
      #expect(store.searchedDimension == projection?.dimension ?? store.extractor.fingerprint.dimension, comment)
      #expect(try store.ids.count == store.count)
      for id in try store.ids {
        let embedding = try #require(try store.embedding(id))
        let projected = EmbeddingMatrix([projection?.project(embedding) ?? embedding])
        let expected = StoredElements(projected, as: store.precision).row(0, dimension: projected.dimension)
        #expect(try store.searchedVector(id) == expected, comment)
      }
      for segment in store.segments { #expect(segment.vectors.dimension == store.searchedDimension) }
      #expect(throws: Never.self) { try store.verify() }
    }
  }

  @Test(arguments: ElementPrecision.allCases) func life(precision: ElementPrecision) throws {
    var random = SplitMix64(seed: 3)
    func vectors(_ count: Int) -> EmbeddingMatrix {
      EmbeddingMatrix((0..<count).map { _ in (0..<40).map { _ in random.next() } })
    }
    let store = try SegmentStore.create(
      at: folder.model, extractor: specification(dimension: 40), metric: .cosine, precision: precision)
    try store.append(vectors(20), (0..<20).map { Self.record("a\($0)") })
    try check(store, nil, "raw")
    let first = projection((0..<7).map { _ in (0..<40).map { _ in random.next() } })
    try store.setProjection(first)
    #expect(store.projectionDigest?.count == 64)
    try check(store, first, "fitted")
    try store.append(vectors(30), (10..<40).map { Self.record("a\($0)") })
    try store.updateRecords([ImageRecord(id: "a5", label: "new")])
    try store.remove(["a0", "a39"])
    try check(store, first, "grown")
    for part in 0..<12 {
      try store.append(vectors(3), (0..<3).map { Self.record("b\(part) \($0)") })
      try store.compactIfNeeded()
    }
    #expect(store.segments.count < 12)
    try check(store, first, "compacted")

    let second = projection((0..<3).map { _ in (0..<40).map { _ in random.next() } })
    try store.setProjection(second)
    try check(store, second, "fitted again")
    #expect(store.earlierProjections == 2)
    #expect(try store.restoreProjection())
    try check(store, first, "undone")
    #expect(try store.restoreProjection())
    try check(store, nil, "undone twice")
    #expect(store.projectionDigest == nil)
    #expect(try !store.restoreProjection())
    try store.setProjection(second)
    try store.setProjection(nil)
    try check(store, nil, "reset")
    #expect(try !store.restoreProjection())
    // Nothing is left of projections.
    #expect(try paths(folder.model).allSatisfy { !$0.contains("proje") })
  }

  @Test func undoGoesBackEightTimes() throws {
    let store = try SegmentStore.create(at: folder.model, extractor: specification(dimension: 2), metric: .euclidean)
    try store.append(EmbeddingMatrix([[1, 2]]), [Self.record("a")])
    for i in 1...10 { try store.setProjection(projection([[Float(i), 1]])) }
    for i in (2...9).reversed() {
      #expect(try store.restoreProjection())
      try check(store, projection([[Float(i), 1]]), "\(i)")
    }
    #expect(try !store.restoreProjection())
  }

  @Test func aProjectionOfAnotherDimensionIsRefused() throws {
    let store = try SegmentStore.create(at: folder.model, extractor: specification(dimension: 2), metric: .cosine)
    let error = #expect(throws: SimilarityError.self) { try store.setProjection(projection([[1, 2, 3]])) }
    #expect(error?.code == .dimensionMismatch && error?.message.contains("takes 3") == true)
  }

  @Test func attachments() throws {
    let store = try SegmentStore.create(at: folder.model, extractor: specification(dimension: 2), metric: .cosine)
    #expect(try store.attachment("verdicts") == nil)
    try store.setAttachment("verdicts", Data("[1]".utf8))
    try store.setAttachment("other", Data("{}".utf8))
    try store.setAttachment("verdicts", Data("[2]".utf8))
    #expect(try SegmentStore.open(at: folder.model).attachment("verdicts") == Data("[2]".utf8))
    try store.setAttachment("verdicts", nil)
    #expect(try store.attachment("verdicts") == nil && store.attachment("other") == Data("{}".utf8))
    #expect(try paths(folder.model).filter { $0.contains("attachment") }.count == 1)
    let error = #expect(throws: SimilarityError.self) { try store.setAttachment("big", Data(count: 1 << 27)) }
    #expect(error?.code == .invalidArgument)
  }

  /// What was learnt can be applied again, so no picture is lost with it.
  @Test(arguments: ["projected", "projection", "attachment"]) func repair(_ kind: String) throws {
    let store = try SegmentStore.create(at: folder.model, extractor: specification(dimension: 2), metric: .cosine)
    try store.append(EmbeddingMatrix([[1, 2], [3, 5]]), [Self.record("a"), Self.record("b")])
    try store.append(EmbeddingMatrix([[7, 8]]), [Self.record("c")])
    try store.setAttachment("a", Data("[2]".utf8))
    let learnt = projection([[2, 1], [0, 1], [5, 5]])
    try store.setProjection(learnt)
    store.close()
    let file = try #require(try paths(folder.model).first { $0.contains(".\(kind).") })
    var bytes = try Data(contentsOf: folder.model.appending(path: file))
    bytes[bytes.count - 1] ^= 1
    try bytes.write(to: folder.model.appending(path: file))

    let opened = try SegmentStore.open(at: folder.model)
    let error = #expect(throws: SimilarityError.self) { try opened.verify() }
    #expect(error?.code == .modelCorrupt && error?.message.contains(kind) == true)
    #expect(try opened.repair().isEmpty)
    #expect(opened.count == 3)
    try check(opened, kind == "projection" ? nil : learnt, "repaired")
    #expect(try opened.attachment("a") == (kind == "attachment" ? nil : Data("[2]".utf8)))
  }
}
