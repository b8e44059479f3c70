import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Agreement with NumPy and FAISS; see Scripts/goldens/search.py.
@Suite struct GoldenTests {
  struct Goldens: Decodable {
    struct Search: Decodable {
      var metric: Metric
      var rows, dimension, queries, k: Int
      var neighbors: [[Int]]
      var distances: [[Float]]
    }
    struct Evaluation: Decodable {
      var metric: Metric
      var rows, dimension, classes, copies, labels, leftOut: Int
      var precisionAt1, precisionAt5, meanAveragePrecision: Double
    }
    var search: [Search]
    var evaluation: [Evaluation]
  }

  private let goldens: Goldens

  init() throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Goldens/search.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    goldens = try decoder.decode(Goldens.self, from: Data(contentsOf: url))
  }

  @Test func search() async throws {
    #expect(goldens.search.count == 2)
    for golden in goldens.search {
      let index = ExactIndex(dimension: golden.dimension, metric: golden.metric)
      try index.upsert(
        random(rows: golden.rows, dimension: golden.dimension, seed: 1), ids: (0..<golden.rows).map(String.init))
      let found = try await index.search(
        random(rows: golden.queries, dimension: golden.dimension, seed: 2), SearchRequest(k: golden.k))
      for (query, hits) in found.enumerated() {
        #expect(hits.map(\.id) == golden.neighbors[query].map(String.init))
        for (hit, distance) in zip(hits, golden.distances[query]) {
          // Sums in another order may round to the next float.
          #expect(distance.nextDown...distance.nextUp ~= hit.distance)
        }
      }
    }
  }

  @Test(arguments: [1, 2, 5]) func evaluation(threads: Int) async throws {
    #expect(goldens.evaluation.count == 10)
    for golden in goldens.evaluation {
      let labels = (0..<golden.rows).map { $0 * $0 % golden.classes }
      let centres = random(rows: golden.classes, dimension: golden.dimension, seed: 3)
      let noise = random(rows: golden.rows, dimension: golden.dimension, seed: 4)
      var vectors = labels.indices.map { row in zip(centres[labels[row]], noise[row]).map(+) }
      for row in vectors.indices where golden.copies > 0 && row % golden.copies == golden.copies - 1 {
        vectors[row] = vectors[row / 2]
      }
      let found = try await RetrievalEvaluation(
        leaveOneOut: EmbeddingMatrix(vectors), labels: labels.map { "label \($0)" }, metric: golden.metric,
        threads: threads)
      #expect(abs(found.precisionAt1 - golden.precisionAt1) < 1e-12)
      #expect(abs(found.precisionAt5 - golden.precisionAt5) < 1e-12)
      #expect(abs(found.meanAveragePrecision - golden.meanAveragePrecision) < 1e-12)
      #expect(found.images == golden.rows)
      #expect(found.classes == golden.labels)
      #expect(found.leftOut == golden.leftOut)
    }
  }

  private func random(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var random = SplitMix64(seed: seed)
    return EmbeddingMatrix(
      rows: rows, dimension: dimension, values: (0..<rows * dimension).map { _ in random.next() })
  }
}
