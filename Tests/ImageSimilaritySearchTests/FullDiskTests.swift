import Foundation
import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

/// A disk that is full, and one that cannot be written. Both need a file system of their own: `Scripts/reliability` makes it.
@Suite struct FullDiskTests {
  private static let disk = ProcessInfo.processInfo.environment["IMSIM_SMALL_DISK"].map { URL(fileURLWithPath: $0) }
  private static let readOnlyModel = ProcessInfo.processInfo.environment["IMSIM_READ_ONLY_MODEL"]
    .map { URL(fileURLWithPath: $0) }

  /// Leaves so many bytes free, a page more each time, while a change is made that needs more or fewer: the disk is full at
  /// every write in turn.
  @Test(.enabled(if: disk != nil, "needs a small disk at IMSIM_SMALL_DISK")) func fullAtEveryWrite() throws {
    let disk = try #require(Self.disk)
    let model = disk.appending(path: "model.imsim")
    let filler = disk.appending(path: "filler")
    let store = try SegmentStore.create(at: model, extractor: specification(dimension: 64), metric: .cosine)
    func vectors(_ seed: Int) -> (EmbeddingMatrix, [ImageRecord]) {
      var random = SplitMix64(seed: UInt64(seed))
      let matrix = EmbeddingMatrix((0..<64).map { _ in (0..<64).map { _ in random.next() } })
      return (matrix, (0..<64).map { ImageRecord(id: "\(seed) \($0)", path: "/\(seed)/\($0)") })
    }
    let first = vectors(0)
    try store.append(first.0, first.1)
    var refused = 0
    var done = 0
    for pages in 0..<40 {
      let before = try Contents(store)
      try fill(filler, leaving: pages * 4096, on: disk)
      let (matrix, records) = vectors(pages + 1)
      let changes: [() throws -> Void] = [
        { try store.append(matrix, records) }, { try store.remove([records[0].id, "0 \(pages)"]) },
        { try store.updateRecords([ImageRecord(id: "0 63", label: "\(pages)")]) }, { try store.compactIfNeeded() },
        { try store.setSkipped([SkippedImage(id: "\(pages)", code: "c", reason: "r")]) },
      ]
      for change in changes {
        let before = try Contents(store)
        do {
          try change()
          done += 1
        } catch let error as SimilarityError {
          refused += 1
          #expect(error.code == .inputOutput && error.message.contains("No space left on device"), "\(error)")
          #expect(try Contents(store) == before)
          #expect(try paths(model).allSatisfy { !$0.contains(".tmp") })
        }
        let opened = try SegmentStore.open(at: model)
        #expect(opened.damaged.isEmpty)
        #expect(throws: Never.self) { try opened.verify() }
        #expect(try Contents(opened) == Contents(store))
      }
      try FileManager.default.removeItem(at: filler)
      // The disk stays small.
      try store.remove(try store.ids.filter { before.images[$0] == nil })
      try store.compactIfNeeded()
    }
    #expect(refused >= 10 && done >= 10, "\(refused) refused, \(done) done")
  }

  private func fill(_ file: URL, leaving bytes: Int, on disk: URL) throws {
    let attributes = try FileManager.default.attributesOfFileSystem(forPath: disk.path)
    let free = try #require((attributes[.systemFreeSize] as? NSNumber)?.intValue)
    try Data(count: max(0, free - bytes)).write(to: file)
  }

  @Test(.enabled(if: readOnlyModel != nil, "needs a model on a read-only disk at IMSIM_READ_ONLY_MODEL"))
  func readOnly() throws {
    let store = try SegmentStore.open(at: try #require(Self.readOnlyModel))
    #expect(throws: Never.self) { try store.verify() }
    #expect(store.count > 0)
    #expect(try Contents(store).images.count == store.count)
    let error = #expect(throws: SimilarityError.self) { try store.remove(store.ids) }
    #expect(error?.code == .inputOutput && error?.message.contains("Read-only file system") == true)
    #expect(store.count > 0)
    #expect(try Contents(store).images.count == store.count)
  }
}
