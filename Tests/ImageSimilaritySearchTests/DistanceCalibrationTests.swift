import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

@Suite struct DistanceCalibrationTests {
  /// Pairs from a population of which everything is known: a third are the same, at distances from a gamma distribution of shape 2
  /// and scale .05, the others of shape 6. The logarithm of the odds is `log(1/2) + log(5!) - 4 * log(d / .05)`.
  private static func population(_ count: Int, seed: UInt64) -> [JudgedDistance] {
    var random = ImageSimilaritySearch.SplitMix64(state: seed)
    return (0..<count).map { _ in
      let isSame = random.next() % 3 == 0
      var sum = 0.0
      for _ in 0..<(isSame ? 2 : 6) { sum -= log(Double.random(in: .leastNormalMagnitude..<1, using: &random)) }
      return JudgedDistance(distance: Float(sum * 0.05), isSame: isSame)
    }
  }

  private static func truth(_ distance: Float) -> Double {
    let odds = 0.5 * 120 / pow(Double(distance) / 0.05, 4)
    return odds / (1 + odds)
  }

  @Test(arguments: [UInt64(1), 2, 3]) func findsTheProbabilitiesOfAPopulation(seed: UInt64) throws {
    let calibration = try DistanceCalibration(learningFrom: Self.population(4000, seed: seed))
    let others = Self.population(8000, seed: seed + 100)
    #expect(calibration.quality(on: others).expectedCalibrationError < 0.02)
    #expect(calibration.quality.expectedCalibrationError < 0.02)
    #expect(abs(calibration.quality.logLoss - calibration.quality(on: others).logLoss) < 0.02)
    for distance in stride(from: Float(0.05), to: 0.5, by: 0.01) {
      #expect(abs(calibration.probability(ofDistance: distance) - Self.truth(distance)) < 0.06)
    }
  }

  @Test func aFewPairsAreEnoughForAFirstIdea() throws {
    let calibration = try DistanceCalibration(learningFrom: Self.population(40, seed: 7))
    #expect(calibration.quality(on: Self.population(8000, seed: 8)).expectedCalibrationError < 0.1)
  }

  /// Logarithms of odds that no logistic curve of the distance or of its logarithm follows: a plateau between two cliffs.
  @Test func manyPairsShowTheShape() throws {
    var random = ImageSimilaritySearch.SplitMix64(state: 5)
    let samples = (0..<6000).map { _ in
      let distance = Float.random(in: 0..<1, using: &random)
      let probability = distance < 0.2 ? 0.95 : distance < 0.8 ? 0.5 : 0.05
      return JudgedDistance(distance: distance, isSame: Double.random(in: 0..<1, using: &random) < probability)
    }
    let calibration = try DistanceCalibration(learningFrom: samples)
    #expect(calibration.method == .isotonic)
    for (distance, probability) in [(Float(0.1), 0.95), (0.5, 0.5), (0.9, 0.05)] {
      #expect(abs(calibration.probability(ofDistance: distance) - probability) < 0.06)
    }
  }

  @Test(arguments: [3, 4, 10, 100, 3000]) func neverRises(count: Int) throws {
    for seed in UInt64(0)..<5 {
      var samples = Self.population(count, seed: seed)
      samples[0].isSame = true
      samples[1].isSame = false
      // Equal distances and 0 come, too.
      for i in stride(from: 0, to: count, by: 7) { samples[i].distance = Float(i % 3) / 10 }
      let calibration = try DistanceCalibration(learningFrom: samples)
      let distances: [Float] =
        [-1, 0, .leastNonzeroMagnitude] + stride(from: 1e-4, to: 1, by: 1e-3) + [2, 1e10, .infinity]
      let probabilities = distances.map(calibration.probability)
      #expect(zip(probabilities, probabilities.dropFirst()).allSatisfy { $0 >= $1 })
      #expect(probabilities.allSatisfy { (0...1).contains($0) })
      #expect(calibration.probability(ofDistance: .nan).isNaN)
    }
  }

  @Test func theOrderOfPairsDoesNotMatterMuchAndRunsAreEqual() throws {
    let samples = Self.population(300, seed: 1)
    let calibration = try DistanceCalibration(learningFrom: samples)
    #expect(try calibration == DistanceCalibration(learningFrom: samples))
  }

  @Test func aFartherPairThatIsTheSameIsNoReasonToRise() throws {
    let calibration = try DistanceCalibration(learningFrom: [
      JudgedDistance(distance: 0.9, isSame: true), JudgedDistance(distance: 0.1, isSame: false),
      JudgedDistance(distance: 0.2, isSame: false),
    ])
    #expect(calibration.probability(ofDistance: 0.1) == calibration.probability(ofDistance: 0.9))
    #expect((0.2..<0.5).contains(calibration.probability(ofDistance: 0.5)))
  }

  @Test func equalDistancesGiveTheBaseRate() throws {
    let calibration = try DistanceCalibration(
      learningFrom: (0..<100).map { JudgedDistance(distance: 0.5, isSame: $0 < 30) })
    for distance in [Float(0), 0.5, 2] {
      #expect(abs(calibration.probability(ofDistance: distance) - 0.3) < 0.02)
    }
    #expect(calibration.precisionCurve.points.count == 1)
    #expect(calibration.precisionCurve.threshold(forPrecision: 0.9) == nil)
    let zeros = try DistanceCalibration(learningFrom: (0..<10).map { JudgedDistance(distance: 0, isSame: $0 < 5) })
    #expect(abs(zeros.probability(ofDistance: 0) - 0.5) < 0.01)
  }

  @Test func innerProductsMayBeNegative() throws {
    let samples = Self.population(2000, seed: 3).map {
      JudgedDistance(distance: $0.distance - 1, isSame: $0.isSame)
    }
    let calibration = try DistanceCalibration(learningFrom: samples)
    #expect(abs(calibration.probability(ofDistance: -0.85) - Self.truth(0.15)) < 0.06)
  }

  @Test func weightsStandForPairs() throws {
    // A third of the different pairs, three times as heavy, and all pairs: the same population.
    let samples = Self.population(6000, seed: 4)
    var kept = 0
    let thinned = samples.compactMap { sample -> JudgedDistance? in
      if sample.isSame { return sample }
      kept += 1
      guard kept % 3 == 0 else { return nil }
      return JudgedDistance(distance: sample.distance, isSame: false, weight: 3)
    }
    let calibration = try DistanceCalibration(learningFrom: thinned)
    #expect(calibration.quality(on: samples).expectedCalibrationError < 0.02)
    #expect(abs(calibration.quality.baseRate - 1 / 3.0) < 0.02)
  }

  @Test func thresholdsHaveTheirPrecision() throws {
    let calibration = try DistanceCalibration(learningFrom: Self.population(6000, seed: 5))
    let others = Self.population(20000, seed: 6)
    let same = Double(others.count(where: \.isSame))
    var last = Float.infinity
    for wanted in [0.8, 0.9, 0.95, 0.99] {
      let found = calibration.precisionCurve.threshold(forPrecision: wanted)
      let point = try #require(found)
      let inside = others.filter { $0.distance <= point.distance }
      let precision = Double(inside.count(where: \.isSame)) / Double(inside.count)
      #expect(precision > wanted - 0.02)
      #expect(abs(Double(inside.count(where: \.isSame)) / same - point.recall) < 0.04)
      #expect(point.distance <= last)
      last = point.distance
      let bounded = calibration.precisionCurve.threshold(forPrecision: wanted, confidence: 0.95)
      // A precision of .99 takes more pairs than there are.
      #expect((bounded == nil) == (wanted == 0.99))
      if let bounded {
        #expect(bounded.distance <= point.distance && bounded.precisionBound(confidence: 0.95) >= wanted)
      }
      #expect(point.precisionBound(confidence: 0.99) < point.precisionBound(confidence: 0.9))
    }
    #expect(calibration.precisionCurve.threshold(forPrecision: 1.1) == nil)
  }

  /// Ten pairs of one picture are no ten observations.
  @Test func boundsCountGroups() throws {
    func samples(_ group: (Int) -> Int?) -> [JudgedDistance] {
      (0..<400).map { JudgedDistance(distance: $0 < 200 ? 0.1 : 0.9, isSame: $0 < 200, group: group($0)) }
    }
    let alone = try DistanceCalibration(learningFrom: samples { _ in nil }).precisionCurve
    let grouped = try DistanceCalibration(learningFrom: samples { $0 / 10 }).precisionCurve
    #expect(alone.points[0].observations == 200 && grouped.points[0].observations == 20)
    #expect(alone.threshold(forPrecision: 0.98, confidence: 0.95) != nil)
    #expect(grouped.threshold(forPrecision: 0.98, confidence: 0.95) == nil)
    #expect(grouped.threshold(forPrecision: 0.98) != nil)
  }

  @Test func separablePairsKeepADoubt() throws {
    let calibration = try DistanceCalibration(
      learningFrom: (0..<200).map { JudgedDistance(distance: $0 < 100 ? 0.1 : 0.9, isSame: $0 < 100) })
    #expect((0.95..<1).contains(calibration.probability(ofDistance: 0.1)))
    #expect((0.000001..<0.05).contains(calibration.probability(ofDistance: 0.9)))
  }

  @Test func refuses() throws {
    func refusal(_ samples: [JudgedDistance]) -> SimilarityError? {
      #expect(throws: SimilarityError.self) { try DistanceCalibration(learningFrom: samples) }
    }
    let same = JudgedDistance(distance: 0.1, isSame: true)
    let different = JudgedDistance(distance: 0.5, isSame: false)
    #expect(refusal([])?.code == .invalidArgument)
    #expect(
      refusal([same, same])?.message
        == "a calibration needs pairs that are the same and pairs that are different; found 2 and 0")
    #expect(refusal([different])?.code == .invalidArgument)
    #expect(refusal([same, different, JudgedDistance(distance: .nan, isSame: true)])?.code == .notFinite)
    #expect(refusal([same, different, JudgedDistance(distance: .infinity, isSame: true)])?.code == .notFinite)
    #expect(refusal([same, different, JudgedDistance(distance: 0, isSame: true, weight: 0)])?.code == .invalidArgument)
    #expect(refusal([same, different, JudgedDistance(distance: 0, isSame: true, weight: .nan)])?.code == .notFinite)
    // Two pairs are the least that says anything.
    let least = try DistanceCalibration(learningFrom: [same, different])
    #expect(least.probability(ofDistance: 0.1) > least.probability(ofDistance: 0.5))
  }

  @Test func encodesInSnakeCaseAndRefusesNonsense() throws {
    for count in [20, 3000] {
      let calibration = try DistanceCalibration(learningFrom: Self.population(count, seed: 9))
      let data = try JSONEncoder().encode(calibration)
      #expect(try JSONDecoder().decode(DistanceCalibration.self, from: data) == calibration)
      let text = String(decoding: data, as: UTF8.self)
      for key in ["precision_curve", "expected_calibration_error", "brier_score", "log_loss", "base_rate"] {
        #expect(text.contains("\"\(key)\""))
      }
      for (field, nonsense) in [("\"unit\":", "-1"), ("\"slope\":", "3"), ("\"intercept\":", "1e999")] {
        let start = try #require(text.firstRange(of: field)).upperBound
        let end = try #require(text[start...].firstIndex { ",}".contains($0) })
        let damaged = text[..<start] + nonsense + text[end...]
        #expect(throws: (any Error).self) {
          try JSONDecoder().decode(DistanceCalibration.self, from: Data(String(damaged).utf8))
        }
      }
    }
  }

  @Test func noPairsAreNoError() {
    let quality = CalibrationQuality(probabilities: [], outcomes: [])
    #expect(quality.pairs == 0 && quality.bins.isEmpty && quality.logLoss == 0)
    // A certainty that was wrong costs a finite amount.
    #expect(CalibrationQuality(probabilities: [0], outcomes: [true]).logLoss.isFinite)
  }
}

/// Agreement with scikit-learn and numpy; see Scripts/goldens/calibration.py.
@Suite struct CalibrationGoldenTests {
  struct Goldens: Decodable {
    struct Curve: Decodable { var intercept, slope: Double }
    struct Reliability: Decodable {
      var bins: [[Double]]
      var expectedCalibrationError, brierScore, logLoss: Double
    }
    struct Precision: Decodable {
      var wanted, confidence: Double
      var threshold, boundedThreshold: [Double]?
    }
    struct Case: Decodable {
      var distances, weights, isotonic, coarse: [Double]
      var same: [Bool]
      var groups: [Int]
      var logistic: Curve
      var reliability, coarseReliability: Reliability
      var precision: [Precision]
    }
    var cases: [Case]
  }

  private let cases: [Goldens.Case]

  init() throws {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Goldens/calibration.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    cases = try decoder.decode(Goldens.self, from: Data(contentsOf: url)).cases
  }

  @Test func isotonicRegression() {
    for golden in cases {
      let order = golden.distances.indices.sorted { golden.distances[$0] < golden.distances[$1] }
      let x = order.map { golden.distances[$0] }
      let blocks = IsotonicRegression.nonincreasing(
        order.map { golden.same[$0] ? 1 : 0 }, weights: order.map { golden.weights[$0] }
      ) { x[$0] == x[$0 - 1] }
      #expect(zip(blocks, blocks.dropFirst()).allSatisfy { $0.value > $1.value })
      for block in blocks {
        for i in block.samples { #expect(abs(block.value - golden.isotonic[order[i]]) < 1e-12) }
      }
    }
  }

  @Test func logisticCurve() {
    for golden in cases {
      let mean = golden.weights.reduce(0, +) / Double(golden.weights.count)
      let curve = LogisticCurve(x: golden.distances, isSame: golden.same, weights: golden.weights.map { $0 / mean })
      #expect(abs(curve.intercept - golden.logistic.intercept) < 1e-5 * abs(golden.logistic.intercept))
      #expect(abs(curve.slope - golden.logistic.slope) < 1e-5 * abs(golden.logistic.slope))
    }
  }

  @Test func reliability() {
    for golden in cases {
      let curve = LogisticCurve(intercept: golden.logistic.intercept, slope: golden.logistic.slope)
      compare(golden.distances.map(curve.probability), golden, golden.reliability)
      compare(golden.coarse, golden, golden.coarseReliability)
    }
  }

  private func compare(_ probabilities: [Double], _ golden: Goldens.Case, _ expected: Goldens.Reliability) {
    let quality = CalibrationQuality(probabilities: probabilities, outcomes: golden.same, weights: golden.weights)
    #expect(abs(quality.expectedCalibrationError - expected.expectedCalibrationError) < 1e-12)
    #expect(abs(quality.brierScore - expected.brierScore) < 1e-12)
    #expect(abs(quality.logLoss - expected.logLoss) < 1e-12)
    #expect(quality.bins.count == expected.bins.count)
    for (bin, expected) in zip(quality.bins, expected.bins) {
      let found = [bin.probability, bin.observed, bin.share, Double(bin.pairs)]
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-12 })
    }
  }

  @Test func thresholds() throws {
    for golden in cases {
      let samples = golden.distances.indices.map {
        JudgedDistance(
          distance: Float(golden.distances[$0]), isSame: golden.same[$0], weight: golden.weights[$0],
          group: golden.groups[$0])
      }
      let curve = try DistanceCalibration(learningFrom: samples).precisionCurve
      for precision in golden.precision {
        let found = [
          curve.threshold(forPrecision: precision.wanted),
          curve.threshold(forPrecision: precision.wanted, confidence: precision.confidence),
        ].map { point in
          point.map {
            [
              Double($0.distance), $0.precision, $0.recall, $0.observations,
              $0.precisionBound(confidence: precision.confidence),
            ]
          }
        }
        for (found, expected) in zip(found, [precision.threshold, precision.boundedThreshold]) {
          #expect((found == nil) == (expected == nil))
          if let found, let expected { #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-9 }) }
        }
      }
    }
  }
}
