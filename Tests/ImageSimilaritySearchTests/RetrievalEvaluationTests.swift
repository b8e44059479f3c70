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

  @Test func encodesInSnakeCase() async throws {
    let found = try await RetrievalEvaluation(leaveOneOut: EmbeddingMatrix([[1], [1]]), labels: ["a", "a"])
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    #expect(
      String(decoding: try encoder.encode(found), as: UTF8.self)
        == #"{"classes":1,"images":2,"left_out":0,"mean_average_precision":1,"precision_at_1":1,"precision_at_5":0.2}"#)
    #expect(try JSONDecoder().decode(RetrievalEvaluation.self, from: encoder.encode(found)) == found)
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
  }
}
