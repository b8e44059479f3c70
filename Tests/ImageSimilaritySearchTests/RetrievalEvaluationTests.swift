import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

@Suite struct RetrievalEvaluationTests {
  /// Small enough to do by hand: on a line, a at 0, 1 and 5, b at 2 and 3.
  @Test func followsTheDefinitions() async throws {
    let positions: [Float] = [0, 1, 5, 2, 3]
    let found = try await RetrievalEvaluation(
      leaveOneOut: EmbeddingMatrix(positions.map { [$0] }), labels: ["a", "a", "a", "b", "b"], metric: .euclidean)
    // From 0: a b b a; from 1: a b b a (the tie of 0 and 2 goes to the lower row); from 5: b b a a;
    // from 2: a b a a (the tie of 1 and 3 likewise); from 3: b a a a (the tie of 1 and 5 is one of a).
    #expect(found.precisionAt1 == 3.0 / 5)
    #expect(abs(found.precisionAt5 - (3 * 2.0 / 5 + 2 * 1.0 / 5) / 5) < 1e-15)
    let average = (1 + 2.0 / 4) / 2
    let last = (1.0 / 3 + 2.0 / 4) / 2
    #expect(abs(found.meanAveragePrecision - (2 * average + last + 1.0 / 2 + 1) / 5) < 1e-15)
    #expect(found.images == 5 && found.classes == 2 && found.leftOut == 0)
  }

  /// On the same line: ranks of the relevant from 0: 1, 4; 1: 1, 4; 5: 3, 4; 2: 2; 3: 1.
  @Test func furtherMeasuresFollowTheirDefinitions() async throws {
    let scores = try await RetrievalScores(
      leaveOneOut: line([0, 1, 5, 2, 3]), labelSets: [["a"], ["a"], ["a"], ["b"], ["b"]], metric: .euclidean,
      ranks: [3])
    #expect(scores.queries.map(\.row) == [0, 1, 2, 3, 4] && scores.queries.map(\.relevant) == [2, 2, 2, 1, 1])
    let third = 1.0 / 3
    #expect(scores.values(of: .precision(at: 3)) == [third, third, third, third, third])
    #expect(scores.values(of: .recall(at: 3)) == [0.5, 0.5, 0.5, 1, 1])
    #expect(scores.values(of: .recall(at: 1)) == [0.5, 0.5, 0, 0, 1])
    #expect(scores.values(of: .rPrecision) == [0.5, 0.5, 0, 0, 1])
    #expect(scores.values(of: .averagePrecisionAtR) == [0.5, 0.5, 0, 0, 1])
    #expect(scores.values(of: .reciprocalRank) == [1, 1, third, 0.5, 1])
    // Discounts: 1 / log2(2) = 1, 1 / log2(3), 1 / log2(4) = 1/2, 1 / log2(5).
    let (second, fourth) = (0.6309297535714575, 0.43067655807339306)
    let ideal = 1 + second
    let firstFourth = (1 + fourth) / ideal
    let thirdFourth = (0.5 + fourth) / ideal
    let expected: [Double] = [firstFourth, firstFourth, thirdFourth, second, 1]
    for (found, expected) in zip(scores.values(of: .fullNDCG), expected) { #expect(abs(found - expected) < 1e-12) }
    let atThree: [Double] = [1 / ideal, 1 / ideal, 0.5 / ideal, second, 1]
    for (found, expected) in zip(scores.values(of: .ndcg(at: 3)), atThree) { #expect(abs(found - expected) < 1e-12) }
    #expect(scores.values(of: .ndcg(at: 99)).isEmpty)
    // Among the first two: from 0 row 3 is second; from 5 rows 4 and 3; among the first: from 2 row 1.
    #expect(scores.queries.map(\.mistaken) == [[3], [3], [4, 3], [1], []])
  }

  @Test func labelsInCommonMakeRelevant() async throws {
    let scores = try await RetrievalScores(
      leaveOneOut: line([0, 1, 2, 3]), labelSets: [["a", "b"], ["c"], ["b", "b"], []], metric: .euclidean)
    #expect(scores.classes == ["a", "b", "c"] && scores.images == 4)
    #expect(scores.queries.map(\.row) == [0, 2] && scores.leftOut == 2)
    #expect(scores.values(of: .reciprocalRank) == [0.5, 1.0 / 3])
    #expect(scores.labels(of: scores.queries[0]) == ["a", "b"])
    let found = try await RetrievalEvaluation(scores)
    #expect(found.perClass.map(\.queries) == [1, 2, 0] && found.perClass.map(\.images) == [1, 2, 1])
    // One query has no interval, and a class without one no measures.
    #expect(found.perClass[0].measures[.reciprocalRank] == MeasureEstimate(value: 0.5))
    #expect(found.perClass[2].measures.isEmpty)
    #expect(abs((found.macro[.reciprocalRank]?.value ?? 0) - (0.5 + (0.5 + 1.0 / 3) / 2) / 2) < 1e-15)
    #expect(found.worstClasses.map(\.label) == ["b", "a"])
    // Row 2 has row 1 before it on the one rank that is row 0's; row 0 has row 1 before row 2.
    #expect(found.perClass[1].firstRanks == 2)
    #expect(found.perClass[1].confusions.map(\.label) == ["c"] && found.perClass[1].confusions[0].count == 2)
  }

  @Test func queriesAndRankedRowsCanBeParts() async throws {
    let scores = try await RetrievalScores(
      leaveOneOut: line([0, 1, 2, 3]), labelSets: [["a"], ["b"], ["a"], ["a"]],
      isQuery: [true, false, false, true], isRanked: [false, true, true, false], metric: .euclidean)
    #expect(scores.queries.map(\.row) == [0, 3] && scores.queries.map(\.relevant) == [1, 1])
    #expect(scores.values(of: .reciprocalRank) == [0.5, 1])
    #expect(scores.queries.map(\.mistaken) == [[1], []])
  }

  /// What the bounds decide is the same as what fp64 does, also where lengths are beyond what they know of.
  @Test(arguments: [Metric.cosine, .euclidean, .innerProduct]) func boundsChangeNothing(metric: Metric) async throws {
    var random = SplitMix64(seed: 5)
    let (rows, dimension) = (500, 150)
    var vectors = (0..<rows).map { _ in (0..<dimension).map { _ in (random.next() * 4).rounded() / 4 } }
    for row in 0..<rows where row % 9 == 0 { vectors[row] = vectors[row / 3] }
    for row in 0..<rows where row % 50 == 7 {
      vectors[row] = vectors[row].map { $0 * [0, 0x1p-60, 0x1p45, 0x1p-3][row / 50 % 4] }
    }
    let labels = (0..<rows).map { $0 % 50 == 7 ? "odd" : "l\($0 * $0 % 17)" }
    let scores = try await RetrievalScores(
      leaveOneOut: EmbeddingMatrix(vectors), labelSets: labels.map { [$0] }, metric: metric, threads: 2)
    let ids = (0..<rows).map { "\(1000 + $0)" }
    let brute = BruteForce(vectors: vectors, ids: ids, metric: metric)
    #expect(scores.queries.count == rows)
    for query in scores.queries {
      let order = brute.all(vectors[query.row]).map { (Int($0.id) ?? 0) - 1000 }.filter { $0 != query.row }
      let hits = order.map { labels[$0] == labels[query.row] }
      let first = (hits.firstIndex(of: true) ?? 0) + 1
      let ranks = hits.indices.filter { hits[$0] }
      let precision = ranks.enumerated().reduce(0.0) { $0 + Double($1.offset + 1) / Double($1.element + 1) }
      let index = query.row
      try #require(scores.values(of: .reciprocalRank)[index] == 1 / Double(first))
      try #require(scores.values(of: .averagePrecision)[index] == precision / Double(ranks.count))
      try #require(query.mistaken == order.prefix(min(10, ranks.count)).filter { labels[$0] != labels[query.row] })
    }
  }

  @Test func theSeedDecidesTheIntervals() async throws {
    let scores = try await RetrievalScores(
      leaveOneOut: line([0, 1, 5, 2, 3, 9, 8, 7]), labelSets: ["a", "a", "a", "b", "b", "a", "b", "a"].map { [$0] })
    let found = try await RetrievalEvaluation(scores, options: EvaluationOptions(seed: 1), threads: 1)
    #expect(try await RetrievalEvaluation(scores, options: EvaluationOptions(seed: 1), threads: 3) == found)
    let other = try await RetrievalEvaluation(scores, options: EvaluationOptions(seed: 2))
    #expect(other != found && other.meanAveragePrecision == found.meanAveragePrecision)
    let none = try await RetrievalEvaluation(scores, options: EvaluationOptions(resamples: 0))
    #expect(none.overall[.averagePrecision] == MeasureEstimate(value: found.meanAveragePrecision))
    // A model compared with itself.
    let comparison = try await RetrievalComparison([("a", scores), ("a", scores)])
    let same = comparison.entries[1].differences[.averagePrecision]
    #expect(same?.value == 0 && same?.interval == 0...0 && same?.pValue == 1)
  }

  @Test func encodesInSnakeCase() async throws {
    let found = try await RetrievalEvaluation(
      leaveOneOut: EmbeddingMatrix([[1], [1]]), labels: ["a", "a"], options: EvaluationOptions(resamples: 2))
    let data = try JSONEncoder().encode(found)
    #expect(try JSONDecoder().decode(RetrievalEvaluation.self, from: data) == found)
    guard case .object(let json) = try JSONDecoder().decode(JSONValue.self, from: data) else {
      Issue.record("no object")
      return
    }
    for (key, value) in [
      ("classes", 1.0), ("images", 2), ("left_out", 0), ("mean_average_precision", 1), ("precision_at_1", 1),
      ("precision_at_5", 0.2), ("queries", 2), ("resamples", 2), ("confidence", 0.95),
    ] { #expect(json[key] == .number(value), "\(key)") }
    guard case .object(let overall)? = json["overall"] else {
      Issue.record("no object")
      return
    }
    #expect(overall["recall_at_5"] == .object(["value": 1, "interval": .array([1, 1])]))
    #expect(
      Set(overall.keys)
        == Set(
          [1, 5, 10, 20].flatMap { ["precision_at_\($0)", "recall_at_\($0)", "ndcg_at_\($0)"] }
            + ["mean_average_precision", "ndcg", "r_precision", "map_at_r", "mean_reciprocal_rank"]))
    #expect(json["measures"].map { "\($0)".contains("ndcg_at_20") } == true)
    for measure in found.measures { #expect(RetrievalMeasure(name: measure.name) == measure) }
    #expect(RetrievalMeasure(name: "recall_at_0") == nil && RetrievalMeasure(name: "recall") == nil)
  }

  @Test func refuses() async throws {
    let labels = await #expect(throws: SimilarityError.self) {
      try await RetrievalEvaluation(leaveOneOut: EmbeddingMatrix([[1], [1]]), labels: ["a"])
    }
    #expect(labels?.code == .invalidArgument)
    let nan = await #expect(throws: SimilarityError.self) {
      try await RetrievalEvaluation(leaveOneOut: EmbeddingMatrix([[1], [.nan]]), labels: ["a", "b"])
    }
    #expect(nan?.message == "the embedding in row 1 has an element that is NaN or infinite")
    let none = try await RetrievalEvaluation(
      leaveOneOut: EmbeddingMatrix(rows: 0, dimension: 3, values: []), labels: [])
    #expect(none.meanAveragePrecision == 0 && none.images == 0)
    #expect(none.overall[.averagePrecision] == MeasureEstimate(value: 0) && none.perClass.isEmpty)
    for (options, message) in [
      (EvaluationOptions(ranks: [0]), "rank 0"), (EvaluationOptions(resamples: -1), "found -1"),
      (EvaluationOptions(confidence: 1), "found 1.0"),
    ] {
      let error = await #expect(throws: SimilarityError.self) {
        try await RetrievalEvaluation(leaveOneOut: EmbeddingMatrix([[1]]), labels: ["a"], options: options)
      }
      #expect(error?.code == .invalidArgument && error?.message.contains(message) == true)
    }
    let parts = await #expect(throws: SimilarityError.self) {
      try await RetrievalScores(leaveOneOut: EmbeddingMatrix([[1]]), labelSets: [["a"]], isQuery: [])
    }
    #expect(parts?.code == .invalidArgument)
    let (one, other) = (
      try await RetrievalScores(leaveOneOut: line([1, 2]), labelSets: [["a"], ["a"]]),
      try await RetrievalScores(leaveOneOut: line([1, 2]), labelSets: [["a"], ["b"]])
    )
    let incomparable = await #expect(throws: SimilarityError.self) {
      try await RetrievalComparison([("one", one), ("other", other)])
    }
    #expect(incomparable?.message.contains("'other'") == true)
  }

  private func line(_ positions: [Float]) -> EmbeddingMatrix { EmbeddingMatrix(positions.map { [$0] }) }
}
