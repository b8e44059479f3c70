import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Agreement with NumPy and scikit-learn; see Scripts/goldens/evaluation.py.
@Suite struct EvaluationGoldenTests {
  struct Goldens: Decodable {
    var ranks: [Int]
    var resamples: Int
    var seed: UInt64
    var confidence: Double
    var cases: [Case]
  }
  struct Case: Decodable {
    var metric: Metric
    var dimension, centres: Int
    var labels: [[String]]
    var isQuery, isRanked: [Bool]
    var result: Result
    /// Value, lower, upper and p.
    var differences: [String: [Double]]

    private enum CodingKeys: String, CodingKey {
      case metric, dimension, centres, labels, result, differences
      case isQuery = "is_query"
      case isRanked = "is_ranked"
    }
  }
  struct Result: Decodable {
    /// Value, lower and upper.
    var overall, macro: [String: [Double]]
    var perClass: [Class]
    var images, classes, leftOut: Int
    var rows: [Int]
    var values: [String: [Double]]
    var mistaken: [[Int]]

    private enum CodingKeys: String, CodingKey {
      case overall, macro, images, classes, rows, values, mistaken
      case perClass = "per_class"
      case leftOut = "left_out"
    }
  }
  struct Class: Decodable {
    var label: String
    var images, queries, firstRanks: Int
    var measures: [String: [Double]]
    var confusions: [Confusion]

    private enum CodingKeys: String, CodingKey {
      case label, images, queries, measures, confusions
      case firstRanks = "first_ranks"
    }
  }
  struct Confusion: Decodable {
    var label: String
    var count: Int

    init(from decoder: any Decoder) throws {
      var pair = try decoder.unkeyedContainer()
      label = try pair.decode(String.self)
      count = try pair.decode(Int.self)
    }
  }

  private let goldens: Goldens
  private var options: EvaluationOptions {
    EvaluationOptions(
      ranks: goldens.ranks, resamples: goldens.resamples, seed: goldens.seed, confidence: goldens.confidence)
  }

  init() throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Goldens/evaluation.json")
    goldens = try JSONDecoder().decode(Goldens.self, from: Data(contentsOf: url))
  }

  @Test(arguments: [1, 3]) func queriesClassesAndIntervals(threads: Int) async throws {
    #expect(goldens.cases.count == 3)
    for golden in goldens.cases {
      let scores = try await scores(golden, seed: 3, threads: threads)
      #expect(scores.queries.map(\.row) == golden.result.rows)
      #expect(scores.queries.map(\.mistaken) == golden.result.mistaken)
      for (name, values) in golden.result.values {
        let measure = try #require(RetrievalMeasure(name: name))
        expect(scores.values(of: measure), values, name)
      }
      let found = try await RetrievalEvaluation(scores, options: options, threads: threads)
      #expect(found.images == golden.result.images && found.classes == golden.result.classes)
      #expect(found.leftOut == golden.result.leftOut && found.queries == golden.result.rows.count)
      #expect(Set(found.measures.map(\.name)) == Set(golden.result.overall.keys))
      expect(found.overall, golden.result.overall)
      expect(found.macro, golden.result.macro)
      #expect(found.meanAveragePrecision == found.overall[.averagePrecision]?.value)
      #expect(found.perClass.map(\.label) == golden.result.perClass.map(\.label))
      for (found, golden) in zip(found.perClass, golden.result.perClass) {
        #expect(found.images == golden.images && found.queries == golden.queries)
        #expect(found.firstRanks == golden.firstRanks)
        #expect(found.confusions.map(\.label) == golden.confusions.map(\.label))
        #expect(found.confusions.map(\.count) == golden.confusions.map(\.count))
        expect(found.measures, golden.measures)
      }
    }
  }

  @Test func differencesArePaired() async throws {
    for golden in goldens.cases {
      let (first, second) = (
        try await scores(golden, seed: 3, threads: 2), try await scores(golden, seed: 13, threads: 2)
      )
      let found = try await RetrievalComparison(
        [("first", first), ("second", second)], notShared: 4, options: options, threads: 2)
      #expect(found.notShared == 4 && found.entries.map(\.name) == ["first", "second"])
      #expect(found.entries[0].differences.isEmpty)
      let alone = try await RetrievalEvaluation(first, options: options)
      #expect(found.entries[0].evaluation == alone)
      for (name, expected) in golden.differences {
        let measure = try #require(RetrievalMeasure(name: name))
        let difference = try #require(found.entries[1].differences[measure])
        let interval = try #require(difference.interval)
        expect(
          [difference.value, interval.lowerBound, interval.upperBound, difference.pValue ?? -1], expected, name)
      }
    }
  }

  /// The script's vectors: a centre and noise, every fifth row a copy.
  private func scores(_ golden: Case, seed: UInt64, threads: Int) async throws -> RetrievalScores {
    let rows = golden.labels.count
    let centres = random(rows: golden.centres, dimension: golden.dimension, seed: seed)
    let noise = random(rows: rows, dimension: golden.dimension, seed: seed + 1)
    var vectors = (0..<rows).map { row in zip(centres[row * row % golden.centres], noise[row]).map(+) }
    for row in vectors.indices where row % 5 == 4 { vectors[row] = vectors[row / 2] }
    return try await RetrievalScores(
      leaveOneOut: EmbeddingMatrix(vectors), labelSets: golden.labels, isQuery: golden.isQuery,
      isRanked: golden.isRanked, metric: golden.metric, ranks: goldens.ranks, threads: threads)
  }

  private func random(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var random = SplitMix64(seed: seed)
    return EmbeddingMatrix(
      rows: rows, dimension: dimension, values: (0..<rows * dimension).map { _ in random.next() })
  }

  private func expect(_ found: [RetrievalMeasure: MeasureEstimate], _ golden: [String: [Double]]) {
    #expect(found.count == golden.count)
    for (measure, estimate) in found {
      let interval = estimate.interval.map { [$0.lowerBound, $0.upperBound] } ?? []
      expect([estimate.value] + interval, golden[measure.name] ?? [], measure.name)
    }
  }

  private func expect(_ found: [Double], _ golden: [Double], _ name: String) {
    #expect(
      found.count == golden.count && zip(found, golden).allSatisfy { abs($0 - $1) < 1e-12 }, "\(name)")
  }
}
