import Foundation
import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

/// A process that changes a model without end is killed at any moment, again and again: what it had committed is there each
/// time, and nothing is half there. `Scripts/reliability` does it some hundred times.
@Suite struct KillTests {
  private static let kills = ProcessInfo.processInfo.environment["IMSIM_KILLS"].flatMap { Int($0) } ?? 20

  /// What the model holds after so many changes; a change follows from its number.
  private struct Life {
    private(set) var number = 0
    private(set) var contents = Contents()
    /// What an undo goes back to, the latest last.
    private var earlier: [LearnedProjection?] = []

    /// Makes the next change here, and in a store where there is one.
    mutating func change(_ store: SegmentStore? = nil) throws {
      var random = SplitMix64(seed: UInt64(number))
      switch random.integer(13) {
      case 0..<5:
        let ids = Array(Set((0...random.integer(30)).map { _ in "\(random.integer(200))" })).sorted()
        let records = ids.map { ImageRecord(id: $0, path: "/\($0)", label: "\(number)") }
        let vectors = ids.map { _ in (0..<32).map { _ in random.next() } }
        try store?.append(EmbeddingMatrix(vectors), records)
        for (record, vector) in zip(records, vectors) {
          contents.images[record.id] = Contents.Image(
            record: record, embedding: vector, searched: contents.projection?.project(vector))
        }
      case 5..<7:
        let ids = (0..<8).map { _ in "\(random.integer(200))" }
        try store?.remove(ids)
        for id in ids { contents.images[id] = nil }
      case 7:
        let records = contents.images.keys.sorted().prefix(3).map { ImageRecord(id: $0, label: "changed \(number)") }
        try store?.updateRecords(records)
        for record in records { contents.images[record.id]?.record = record }
      case 8:
        contents.skipped = [SkippedImage(id: "\(number)", code: "c", reason: "r")]
        try store?.setSkipped(contents.skipped)
      case 9:
        contents.attachment = Data("\(number)".utf8)
        try store?.setAttachment("a", contents.attachment)
      case 10:
        earlier.append(contents.projection)
        use(projection((0..<3 + number % 3).map { _ in (0..<32).map { _ in random.next() } }))
        try store?.setProjection(contents.projection)
      case 11:
        if contents.projection == nil {
          try store?.restoreProjection()
        } else if earlier.count > 8 {
          // So many are kept.
          earlier = []
          use(nil)
          try store?.setProjection(nil)
        } else {
          use(earlier.removeLast())
          try store?.restoreProjection()
        }
      default:
        try store?.compactIfNeeded()
      }
      number += 1
    }

    private mutating func use(_ projection: LearnedProjection?) {
      contents.projection = projection
      contents.images = contents.images.mapValues { image in
        Contents.Image(
          record: image.record, embedding: image.embedding, searched: projection?.project(image.embedding))
      }
    }
  }

  @Test func killedAtAnyMoment() async throws {
    let folder = try TemporaryFolder()
    try SegmentStore.create(at: folder.model, extractor: specification(dimension: 32), metric: .cosine).close()
    var life = Life()
    var random = SplitMix64(seed: 9)
    for kill in 0..<Self.kills {
      let path = folder.url.path
      let start = life.number
      let delay = UInt32(random.integer(40_000))
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = path as String, start = start as Int, delay = delay as UInt32] in
        try KillTests.changeUntilKilled(URL(fileURLWithPath: path), from: start, microseconds: delay)
      }
      // A byte for each change that has returned.
      let journal = folder.url.appending(path: "journal")
      let committed = (try? Data(contentsOf: journal).count) ?? 0
      try? FileManager.default.removeItem(at: journal)
      for _ in 0..<committed { try life.change() }
      let opened = try SegmentStore.open(at: folder.model)
      #expect(opened.damaged.isEmpty)
      #expect(throws: Never.self) { try opened.verify() }
      let found = try Contents(opened)
      if found != life.contents {
        // The change that was under way may be there, too: all of it.
        try life.change()
        #expect(found == life.contents, "kill \(kill), after \(committed) changes from \(start)")
      }
      #expect(opened.count == life.contents.images.count)
    }
    // What the last process left lying about goes with the next change.
    let store = try SegmentStore.open(at: folder.model)
    try store.compactIfNeeded()
    try store.beginWriting()
    #expect(try paths(folder.model).allSatisfy { !$0.contains(".tmp") })
  }

  private static func changeUntilKilled(_ folder: URL, from start: Int, microseconds: UInt32) throws {
    var life = Life()
    for _ in 0..<start { try life.change() }
    let journal = unsafe open(
      folder.appending(path: "journal").path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
    try #require(journal >= 0)
    let reaper = Thread {
      usleep(microseconds)
      kill(getpid(), SIGKILL)
    }
    reaper.start()
    let store = try SegmentStore.open(at: folder.appending(path: "model.imsim"))
    while true {
      try life.change(store)
      var byte: UInt8 = 1
      guard unsafe write(journal, &byte, 1) == 1 else { return }
    }
  }
}
