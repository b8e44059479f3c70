import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct EmbeddingTableTests {
  private let folder: TemporaryFolder
  private let table: EmbeddingTable

  init() throws {
    folder = try TemporaryFolder()
    table = try EmbeddingTable(
      embeddings: EmbeddingMatrix([[1, 2, 3], [-4, 5, 0.5]]),
      records: [
        ImageRecord(
          id: "a\n\"é", path: "/a.jpg", label: "cat", metadata: ["year": 2019, "tags": ["x"]], bytes: 7, modified: 8),
        ImageRecord(id: "b"),
      ])
  }

  private func write(_ text: String, _ name: String) throws -> URL {
    let url = folder.url.appending(path: name)
    try Data(text.utf8).write(to: url)
    return url
  }

  @Test(arguments: EmbeddingTable.Format.allCases) func roundTrip(_ format: EmbeddingTable.Format) throws {
    let url = folder.url.appending(path: "out.\(format.rawValue)")
    try table.write(to: url, as: format, metric: .euclidean)
    let records = EmbeddingTable.recordsURL(beside: url)
    #expect(records.lastPathComponent == "out.jsonl")
    let read = try EmbeddingTable(contentsOf: url, as: format, records: records)
    #expect(read.records == table.records)
    #expect((0..<2).map { read.embeddings[$0] } == (0..<2).map { table.embeddings[$0] })
    #expect(try EmbeddingTable(contentsOf: url, as: format).records.map(\.id) == ["0", "1"])
  }

  /// Written part by part, the files are those of the whole table.
  @Test(arguments: EmbeddingTable.Format.allCases, Metric.allCases)
  func parts(_ format: EmbeddingTable.Format, _ metric: Metric) throws {
    var random = SplitMix64(seed: 9)
    let embeddings = EmbeddingMatrix(rows: 70, dimension: 5, values: (0..<350).map { _ in random.next() })
    let records = (0..<70).map { ImageRecord(id: "\($0)", label: $0 % 3 == 0 ? "x" : nil) }
    let whole = folder.url.appending(path: "whole.\(format.rawValue)")
    try EmbeddingTable(embeddings: embeddings, records: records).write(to: whole, as: format, metric: metric)
    let url = folder.url.appending(path: "parts.\(format.rawValue)")
    var writer = try EmbeddingTableWriter(url, as: format, rows: 70, dimension: 5, metric: metric)
    for rows in [0..<1, 1..<1, 1..<64, 64..<70] {
      try writer.append(embeddings[rows: rows], Array(records[rows]))
    }
    #expect(!FileManager.default.fileExists(atPath: url.path))
    try writer.finish()
    #expect(try Data(contentsOf: url) == Data(contentsOf: whole))
    #expect(
      try Data(contentsOf: EmbeddingTable.recordsURL(beside: url))
        == Data(contentsOf: EmbeddingTable.recordsURL(beside: whole)))
    if format == .faiss {
      let direct = folder.url.appending(path: "direct.faiss")
      try FAISSFile(metric: metric, vectors: embeddings, labels: (0..<70).map(Int64.init)).write(to: direct)
      #expect(try Data(contentsOf: url) == Data(contentsOf: direct))
    }
  }

  @Test func anUnfinishedTableLeavesNothing() throws {
    func begin() throws {
      var writer = try EmbeddingTableWriter(
        folder.url.appending(path: "x.npy"), as: .numPy, rows: 9, dimension: 3, metric: .cosine)
      try writer.append(table.embeddings, table.records)
    }
    try begin()
    #expect(try paths(folder.url).isEmpty)
  }

  @Test func halfPrecisionArrays() throws {
    let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }"
    let url = folder.url.appending(path: "half.npy")
    let length = UInt8(header.utf8.count)
    try Data([0x93] + Array("NUMPY".utf8) + [1, 0, length, 0] + Array(header.utf8) + [0, 0x3c, 0, 0xc0]).write(to: url)
    #expect(try EmbeddingTable(contentsOf: url, as: .numPy).embeddings[0] == [1, -2])
  }

  @Test func labelsOfFAISSAreIds() throws {
    let url = folder.url.appending(path: "out.faiss")
    try FAISSFile(metric: .euclidean, vectors: table.embeddings, labels: [70, -3]).write(to: url)
    let read = try EmbeddingTable(contentsOf: url, as: .faiss)
    #expect(read.records.map(\.id) == ["70", "-3"] && read.metric == .euclidean)
    try FAISSFile(metric: .euclidean, vectors: table.embeddings, labels: [3, 3]).write(to: url)
    let error = #expect(throws: SimilarityError.self) { try EmbeddingTable(contentsOf: url, as: .faiss) }
    #expect(error?.message == #"rows 0 and 1 have the same id, "3""#)
  }

  @Test func foreignRecords() throws {
    let array = folder.url.appending(path: "x.npy")
    try NumPyFile.write(table.embeddings, to: array)
    let records = try write(#"{"row":0,"label":"dog","more":[1]}"# + "\n" + #"{"id":"b","path":"p"}"#, "r.jsonl")
    let read = try EmbeddingTable(contentsOf: array, as: .numPy, records: records)
    #expect(read.records == [ImageRecord(id: "0", label: "dog"), ImageRecord(id: "b", path: "p")])
  }

  @Test(arguments: [
    ("{}\n", "has 1 lines; expected 2"), ("{}\n{}\n{}\n", "has 3 lines; expected 2"),
    ("{}\n{\"id\":1}\n", "line 2 of"), ("{}\n\n", "line 2 of"), ("{\"row\":1}\n{}\n", "is of row 1; expected row 0"),
    ("{}\n{\"id\":\"0\"}\n", "have the same id"),
    ("{}\n{\"metadata\":" + String(repeating: "[", count: 100_000) + "\n", "line 2 of"),
  ]) func wrongRecords(_ text: String, _ words: String) throws {
    let array = folder.url.appending(path: "x.npy")
    try NumPyFile.write(table.embeddings, to: array)
    let records = try write(text, "r.jsonl")
    let error = #expect(throws: SimilarityError.self) {
      try EmbeddingTable(contentsOf: array, as: .numPy, records: records)
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
  }

  @Test func notFinite() throws {
    let error = #expect(throws: SimilarityError.self) {
      try EmbeddingTable(
        embeddings: EmbeddingMatrix([[1], [.nan]]), records: [ImageRecord(id: "a"), ImageRecord(id: "b")])
    }
    #expect(error?.code == .notFinite && error?.message.contains("row 1") == true)
  }
}
