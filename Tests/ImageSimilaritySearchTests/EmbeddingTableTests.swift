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

  @Test func labelsOfFAISSAreIds() throws {
    let url = folder.url.appending(path: "out.faiss")
    try FAISSFile(metric: .euclidean, vectors: table.embeddings, labels: [70, -3]).write(to: url)
    #expect(try EmbeddingTable(contentsOf: url, as: .faiss).records.map(\.id) == ["70", "-3"])
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
