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

@Suite struct SegmentStoreTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func makeStore(dimension: Int = 2, metric: Metric = .cosine) throws -> SegmentStore {
    try SegmentStore.create(at: folder.model, extractor: specification(dimension: dimension), metric: metric)
  }

  /// The manifest, the lock and the folder; what was skipped; and three files a segment, or four where rows were removed.
  private func fileCount(_ store: SegmentStore) throws -> Int {
    store.segments.reduce(3 + (store.skippedCount > 0 ? 1 : 0)) { $0 + ($1.liveCount < $1.rows ? 4 : 3) }
  }

  // MARK: - Life

  @Test func lifeCycle() throws {
    let store = try makeStore(metric: .euclidean)
    #expect(try store.count == 0 && store.ids.isEmpty && store.segments.isEmpty)
    let full = ImageRecord(
      id: "é/ä \"b\"\n.jpg", path: "/photos/b.jpg", label: "cat",
      metadata: ["year": 1999, "tags": ["a", 1.5, .null], "deep": ["x": true]], bytes: 1 << 40,
      modified: 1_700_000_000_123_456_789)
    try store.append(
      EmbeddingMatrix([[1, 2], [3, 4], [5, 6]]), [ImageRecord(id: "c"), full, ImageRecord(id: "a")])
    try store.append(EmbeddingMatrix([[7, 8], [9, 10]]), [ImageRecord(id: "c", label: "new"), ImageRecord(id: "d")])
    #expect(try store.remove(["a", "nothing", "a"]) == 1)
    let skipped = [SkippedImage(id: "x", path: "/x", code: "image-corrupt", reason: "it is broken")]
    try store.setSkipped(skipped)

    for store in [store, try SegmentStore.open(at: folder.model)] {
      #expect(store.metric == .euclidean)
      #expect(store.extractor == specification(dimension: 2))
      #expect(store.count == 3)
      #expect(try store.ids == ["c", "d", full.id].sorted())
      #expect(try store.record(full.id) == full)
      #expect(try store.record("c") == ImageRecord(id: "c", label: "new"))
      #expect(try store.record("a") == nil)
      #expect(try store.skipped == skipped)
      #expect(store.segments.map(\.liveCount) == [1, 2])
      #expect(try store.segments[0].embedding(1) == [3, 4])
      #expect(try store.segments[0].record(1) == full)
      #expect(store.segments[0].isLive(1) && !store.segments[0].isLive(0))
      #expect(try store.record(ofPath: "/photos/b.jpg") == full)
      #expect(try store.record(ofPath: "/photos/a.jpg") == nil)
      #expect(try store.contains("c") && !store.contains("a"))
      #expect(try Contents(store).images["c"]?.embedding == [7, 8])
      #expect(throws: Never.self) { try store.verify() }
    }
  }

  @Test func lastOfEqualIDsStays() throws {
    let store = try makeStore()
    try store.append(EmbeddingMatrix([[1, 0], [2, 0], [3, 0]]), ["a", "b", "a"].map { ImageRecord(id: $0) })
    #expect(store.count == 2)
    #expect(try Contents(try SegmentStore.open(at: folder.model)).images["a"]?.embedding == [3, 0])
  }

  @Test func recordsChangeWithoutTheirEmbeddings() throws {
    let store = try makeStore()
    try store.append(EmbeddingMatrix([[1, 0], [2, 0]]), [ImageRecord(id: "a"), ImageRecord(id: "b")])
    let before = try paths(folder.model)
    try store.updateRecords([ImageRecord(id: "b", path: "/elsewhere", modified: 5)])
    #expect(try store.record("b")?.modified == 5)
    let opened = try SegmentStore.open(at: folder.model)
    #expect(try opened.record("b") == ImageRecord(id: "b", path: "/elsewhere", modified: 5))
    #expect(try Contents(opened).images["b"]?.embedding == [2, 0])
    #expect(throws: Never.self) { try opened.verify() }
    func vectors(_ paths: [String]) -> [String] {
      paths.filter { $0.hasSuffix(".safetensors") && !$0.hasSuffix(".lookup.safetensors") }
    }
    #expect(try vectors(paths(folder.model)) == vectors(before))
    #expect(try paths(folder.model).count == before.count)
    let unknown = #expect(throws: SimilarityError.self) {
      try store.updateRecords([ImageRecord(id: "a", label: "lost"), ImageRecord(id: "z")])
    }
    #expect(unknown?.code == .unknownID)
    #expect(try store.record("a") == ImageRecord(id: "a"))
  }

  @Test func refusals() throws {
    let store = try makeStore()
    func code(_ body: () throws -> Void) -> SimilarityError.Code? {
      #expect(throws: SimilarityError.self, performing: body)?.code
    }
    #expect(code { try store.append(EmbeddingMatrix([[1, 2, 3]]), [ImageRecord(id: "a")]) } == .dimensionMismatch)
    #expect(code { try store.append(EmbeddingMatrix([[1, 2]]), []) } == .invalidArgument)
    #expect(code { try store.append(EmbeddingMatrix([[1, .nan]]), [ImageRecord(id: "a")]) } == .notFinite)
    let infinite = ImageRecord(id: "a", metadata: ["x": .number(.infinity)])
    #expect(code { try store.append(EmbeddingMatrix([[1, 2]]), [infinite]) } == .invalidArgument)
    #expect(store.count == 0)
    #expect(try SegmentStore.open(at: folder.model).count == 0)
    try store.append(EmbeddingMatrix([[1, 2]]), [ImageRecord(id: "a")])
    #expect(try Contents(try SegmentStore.open(at: folder.model)).images["a"]?.embedding == [1, 2])
  }

  @Test func createsOnlyWhereThereIsRoom() throws {
    func error() -> SimilarityError? {
      #expect(throws: SimilarityError.self) { try makeStore() }
    }
    let model = folder.model
    try Data("x".utf8).write(to: model)
    #expect(error()?.code == .invalidArgument)
    let below = #expect(throws: SimilarityError.self) {
      try SegmentStore.create(
        at: model.appending(path: "below"), extractor: specification(dimension: 2), metric: .cosine)
    }
    #expect(below?.code == .inputOutput)
    #expect(below?.message.hasSuffix("model.imsim/below: Not a directory") == true)
    try FileManager.default.removeItem(at: model)
    try FileManager.default.createDirectory(at: model, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: model.appending(path: "holiday.jpg"))
    let other = error()
    #expect(other?.code == .invalidArgument && other?.message.contains("holiday.jpg") == true)
    #expect(try paths(model) == ["holiday.jpg"])
    try FileManager.default.removeItem(at: model.appending(path: "holiday.jpg"))

    // What remains of a creation that was interrupted is no obstacle.
    try FileManager.default.createDirectory(
      at: model.appending(path: "segments"), withIntermediateDirectories: true)
    try Data().write(to: model.appending(path: "lock"))
    try Data("{".utf8).write(to: model.appending(path: ".abc.tmp"))
    _ = try makeStore()
    #expect(error()?.code == .modelExists)
    let missing = #expect(throws: SimilarityError.self) {
      try SegmentStore.open(at: folder.url.appending(path: "nowhere"))
    }
    #expect(missing?.code == .modelNotFound)
    let noModel = #expect(throws: SimilarityError.self) { try SegmentStore.open(at: folder.url) }
    #expect(noModel?.code == .modelNotFound)
  }

  // MARK: - Several at once

  @Test func oneWriterManyReaders() throws {
    var first: SegmentStore? = try makeStore()
    try first?.append(EmbeddingMatrix([[1, 0]]), [ImageRecord(id: "a")])
    let second = try SegmentStore.open(at: folder.model)
    let locked = #expect(throws: SimilarityError.self) { try second.remove(["a"]) }
    #expect(locked?.code == .modelLocked)
    #expect(locked?.message.contains(folder.model.path) == true)
    #expect(second.count == 1)

    // A writer that ends, either way, makes room; but nobody writes over what was changed meanwhile.
    try first?.append(EmbeddingMatrix([[2, 0]]), [ImageRecord(id: "b")])
    first?.close()
    let stale = #expect(throws: SimilarityError.self) { try second.beginWriting() }
    #expect(stale?.code == .modelLocked)
    #expect(stale?.message.contains("open it again") == true)
    let third = try SegmentStore.open(at: folder.model)
    try third.beginWriting()
    #expect(throws: SimilarityError.self) { try first?.remove(["b"]) }
    third.close()
    try first?.remove(["b"])
    first = nil
    let fourth = try SegmentStore.open(at: folder.model)
    #expect(try fourth.remove(["a"]) == 1)
  }

  @Test func readersKeepWhatTheyOpened() throws {
    let store = try makeStore()
    for i in 0..<20 { try store.append(EmbeddingMatrix([[Float(i), 1]]), [ImageRecord(id: "\(i)")]) }
    try store.setSkipped([SkippedImage(id: "x", code: "c", reason: "r")])
    let reader = try SegmentStore.open(at: folder.model)
    let before = try Contents(reader)
    try store.compactIfNeeded()
    try store.remove((0..<15).map { "\($0)" })
    try store.setSkipped([])
    try store.compactIfNeeded()
    #expect(store.segments.count == 1)
    #expect(try Contents(reader) == before)
    #expect(before.images.count == 20)
  }

  /// The files that the manifest names are gone when the reader comes to them.
  @Test func opensWhileSomebodyCompacts() throws {
    let store = try makeStore()
    for i in 0..<8 { try store.append(EmbeddingMatrix([[Float(i), 1]]), [ImageRecord(id: "\(i)")]) }
    let opened = try SegmentStore.open(at: folder.model) { _ in
      do { try store.compactIfNeeded() } catch { Issue.record(error) }
    }
    #expect(store.segments.count == 1)
    #expect(try Contents(opened) == Contents(store))
  }

  @Test func severalThreadsWriteThroughOneStore() async throws {
    let store = try makeStore()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<4 {
        group.addTask {
          for i in 0..<10 {
            try store.append(EmbeddingMatrix([[Float(task), Float(i)]]), [ImageRecord(id: "\(task) \(i)")])
            try store.compactIfNeeded()
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(store.count == 40)
    #expect(try Contents(try SegmentStore.open(at: folder.model)) == Contents(store))
  }

  // MARK: - Compaction

  @Test func compactionKeepsEverything() throws {
    let store = try makeStore(dimension: 3)
    var expected = Contents()
    var random = SplitMix64(seed: 1)
    for _ in 0..<150 {
      if random.integer(3) == 0 {
        let ids = (0..<5).map { _ in "\(random.integer(200))" }
        try store.remove(ids)
        for id in ids { expected.images[id] = nil }
      } else {
        let records = (0...random.integer(9)).map { _ in
          ImageRecord(id: "\(random.integer(200))", modified: Int64(random.integer(1 << 60)))
        }
        let vectors = records.map { _ in [random.next(), random.next(), random.next()] }
        try store.append(EmbeddingMatrix(vectors), records)
        for (record, vector) in zip(records, vectors) {
          expected.images[record.id] = Contents.Image(record: record, embedding: vector)
        }
      }
      try store.compactIfNeeded()
      #expect(try Contents(store) == expected)
      #expect(store.count == expected.images.count)
    }
    let opened = try SegmentStore.open(at: folder.model)
    #expect(try Contents(opened) == expected)
    #expect(try opened.ids == expected.images.keys.sorted())
    for (id, image) in expected.images { #expect(try opened.record(id) == image.record) }
    #expect(throws: Never.self) { try opened.verify() }
    // Two classes of size, and fewer than eight segments in each.
    #expect(store.segments.count <= 3 * 7)
    #expect(store.segments.allSatisfy { $0.liveCount * 2 >= $0.rows })
    // Nothing is left over.
    #expect(try paths(folder.model).count == fileCount(store))
    try store.remove(try store.ids)
    try store.compactIfNeeded()
    #expect(try paths(folder.model) == ["lock", "manifest.json", "segments"])
    #expect(try SegmentStore.open(at: folder.model).count == 0)
  }

  @Test func mergesEightOfASize() throws {
    let store = try makeStore()
    for i in 0..<7 { try store.append(EmbeddingMatrix([[Float(i), 1]]), [ImageRecord(id: "\(i)")]) }
    try store.compactIfNeeded()
    #expect(store.segments.count == 7)
    try store.append(EmbeddingMatrix([[7, 1]]), [ImageRecord(id: "7")])
    try store.compactIfNeeded()
    #expect(store.segments.count == 1)
    #expect(store.count == 8)
  }

  // MARK: - Crashes

  /// Copies the folder as it is after each step of each change: that is what a process that ends there leaves behind.
  @Test func everyMomentIsAStateBeforeOrAfter() throws {
    let moments = Mutex<[URL]>([])
    let folder = folder
    let snapshot: @Sendable (SegmentStore.Step) -> Void = { _ in
      moments.withLock { moments in
        let copy = folder.url.appending(path: "moment \(moments.count)")
        do {
          try FileManager.default.copyItem(at: folder.model, to: copy)
          moments.append(copy)
        } catch {
          Issue.record(error)
        }
      }
    }
    let store = try SegmentStore.create(
      at: folder.model, extractor: specification(dimension: 2), metric: .cosine, afterStep: snapshot)
    let changes: [(SegmentStore) throws -> Void] =
      (0..<8).map { i in
        {
          try $0.append(
            EmbeddingMatrix([[Float(i), 1], [1, 2]]), [ImageRecord(id: "\(i)"), ImageRecord(id: "same")])
        }
      } + [
        { try $0.setSkipped([SkippedImage(id: "x", code: "c", reason: "r")]) },
        { try $0.updateRecords([ImageRecord(id: "3", label: "three"), ImageRecord(id: "same", label: "s")]) },
        { try $0.remove(["1", "2", "same"]) },
        { try $0.compactIfNeeded() },
        { try $0.remove(["3", "4", "5", "6"]) },
        { try $0.compactIfNeeded() },
      ]
    var checked = 0
    for change in changes {
      let before = try Contents(store)
      try change(store)
      let after = try Contents(store)
      let found = moments.withLock { Array($0[checked...]) }
      checked += found.count
      for (index, moment) in found.enumerated() {
        // Half-written files, too.
        let segments = moment.appending(path: "segments")
        try Data("half".utf8).write(to: segments.appending(path: ".0x1.tmp"))
        try Data("half".utf8).write(to: moment.appending(path: ".0x2.tmp"))
        try Data("half".utf8).write(to: segments.appending(path: "999999.safetensors"))
        let left = try SegmentStore.open(at: moment)
        #expect(throws: Never.self) { try left.verify() }
        let contents = try Contents(left)
        #expect(contents == before || contents == after)
        if index == found.count - 1 { #expect(contents == after) }
        // The next writer carries on, and removes what was left lying about.
        try left.append(EmbeddingMatrix([[5, 5]]), [ImageRecord(id: "next")])
        left.close()
        let next = try SegmentStore.open(at: moment)
        var expected = contents
        expected.images["next"] = Contents.Image(record: ImageRecord(id: "next"), embedding: [5, 5])
        #expect(try Contents(next) == expected)
        #expect(try paths(moment).count == fileCount(next))
      }
    }
    #expect(checked > 40)
  }
}
