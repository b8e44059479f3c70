import FoundationEssentials
import ImageSimilarityKit
import Testing

/// Evaluations of models: which pictures, which labels, and which models side by side.
@Suite struct EvaluatingTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func model(_ name: String, _ pictures: [(record: ImageRecord, at: Float)]) async throws -> SimilarityModel {
    var options = SimilarityModel.Options()
    options.metric = .euclidean
    options.threads = 2
    let table = try EmbeddingTable(
      embeddings: EmbeddingMatrix(pictures.map { [$0.at, 0] }), records: pictures.map(\.record))
    return try await SimilarityModel.create(at: folder.url(name), importing: table, options: options)
  }

  private func record(_ id: String, _ label: String? = nil, _ metadata: [String: JSONValue]? = nil) -> ImageRecord {
    ImageRecord(id: id, label: label, metadata: metadata)
  }

  @Test func labelsComeFromTheMetadataTheLabelOrTheFolder() async throws {
    let model = try await model(
      "m",
      [
        (record("cats/1", nil, ["labels": ["cat", "black", 7]]), 0), (record("cats/2"), 1),
        (record("x/3", "black"), 2), (record("x/4", "red", ["labels": []]), 3),
        (record("x/5", nil, ["labels": "cat"]), 4),
        (record("6"), 5),
      ])
    let (records, scores) = try await model.retrievalScores()
    #expect(records.map(\.id) == ["6", "cats/1", "cats/2", "x/3", "x/4", "x/5"])
    #expect(scores.classes == ["7", "black", "cat", "cats", "x"])
    #expect(scores.queries.map { records[$0.row].id } == ["cats/1", "x/3"] && scores.leftOut == 4)
    // From cats/1: cats/2, then x/3. From x/3: cats/2 and x/4 at the same distance, x/5 and cats/1 too: the lower id first.
    #expect(scores.values(of: .reciprocalRank) == [1.0 / 2, 1.0 / 3])
    let found = try await model.evaluate(EvaluationOptions(ranks: [2], resamples: 10))
    #expect(found.images == 6 && found.queries == 2 && found.leftOut == 4 && found.resamples == 10)
    #expect(found.measures.prefix(3) == [.precision(at: 1), .precision(at: 2), .precision(at: 5)])
    let summed = try await RetrievalEvaluation(scores)
    #expect(found.meanAveragePrecision == summed.meanAveragePrecision)
  }

  @Test func subsets() async throws {
    let model = try await model(
      "m",
      (0..<8).map { i in
        (record("p\(i)", i % 2 == 0 ? "even" : "odd", ["part": .number(Double(i / 4))]), [0, 3, 1, 9, 2, 5, 8, 7][i])
      })
    let half = try await model.evaluate(of: EvaluatedSubset(RecordField.metadata("part") == 0))
    #expect(half.images == 4 && half.queries == 4)
    // p0 at 0, p1 at 3, p2 at 1, p3 at 9: only p1 finds another first, p2.
    #expect(half.precisionAt1 == 3.0 / 4)
    let parts = EvaluatedSubset(queries: RecordField.metadata("part") == 0, ranked: RecordField.metadata("part") == 1)
    let across = try await model.evaluate(of: parts)
    #expect(across.images == 8 && across.queries == 4 && across.leftOut == 0)
    // Of p4 at 2, p5 at 5, p6 at 8, p7 at 7: p0 and p2 find p4; p1 finds p4; p3 finds p6.
    #expect(across.precisionAt1 == 2.0 / 4)
    let error = await #expect(throws: SimilarityError.self) {
      try await model.evaluate(of: EvaluatedSubset(RecordField.label == "none"))
    }
    #expect(error?.code == .invalidArgument && error?.message.contains("that match label = none") == true)
  }

  @Test func comparisonIsOverSharedPictures() async throws {
    let labels = ["a", "a", "b", "b"]
    let first = try await model(
      "first",
      [(record("only", "a"), 9)]
        + labels.indices.map { (record("p\($0)", $0 < 2 ? labels[$0] : nil), [0, 1, 5, 2][$0]) })
    // These labels count only where the first has none.
    let second = try await model(
      "second", labels.indices.map { (record("p\($0)", $0 < 2 ? "z" : labels[$0]), [0, 1, 5, 6][$0]) })
    let found = try await SimilarityModel.compare(
      [EvaluatedModel(first, name: "1"), EvaluatedModel(second, name: "2", isRaw: true)],
      EvaluationOptions(resamples: 50))
    #expect(found.notShared == 1 && found.entries.map(\.name) == ["1", "2"])
    #expect(found.entries.map(\.evaluation.images) == [4, 4])
    #expect(found.entries.map { $0.evaluation.perClass.map(\.label) } == [["a", "b"], ["a", "b"]])
    // First: p0 finds p1, p1 finds p0 (the tie with p3 goes to the lower id), p2 finds p3, p3 finds p1.
    #expect(found.entries.map(\.evaluation.precisionAt1) == [3.0 / 4, 1])
    let difference = try #require(found.entries[1].differences[.precision(at: 1)])
    #expect(difference.value == 1.0 / 4 && difference.interval?.lowerBound == 0)
    #expect(found.entries[1].macroDifferences[.precision(at: 1)]?.value == 1.0 / 4)
    let json = try JSONEncoder().encode(found)
    #expect(try JSONDecoder().decode(RetrievalComparison.self, from: json) == found)

    let part = try await SimilarityModel.compare(
      [EvaluatedModel(first, name: "1"), EvaluatedModel(second, name: "2")],
      of: EvaluatedSubset(RecordField.label == "b"))
    #expect(part.entries.map(\.evaluation.images) == [2, 2])
    let other = try await model("other", [(record("q", "a"), 1)])
    let error = await #expect(throws: SimilarityError.self) {
      try await SimilarityModel.compare([EvaluatedModel(first, name: "1"), EvaluatedModel(other, name: "2")])
    }
    #expect(error?.code == .invalidArgument && error?.message.contains("other") == true)
  }
}
