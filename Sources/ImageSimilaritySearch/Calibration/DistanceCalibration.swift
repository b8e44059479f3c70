public import ImageSimilarityCore

/// What a distance says about a pair of pictures: the probability that they are the same, which never rises with the distance.
///
/// A probability is one among many pairs: those that stand for it must say which. This one speaks of the population that the
/// ``JudgedDistance``s it was learnt from are a (weighted) sample of. Among all pairs of a collection nearly all are different;
/// among a picture and its nearest neighbours many are the same. Learn from pairs like those it will be asked about.
///
/// The mapping is the best of four, by the log loss on pairs that it was not learnt from:
/// - a logistic curve of the distance, or of its logarithm (Platt, 1999; Lin, Lin, Weng, 2007), which a handful of pairs
///   is enough for;
/// - isotonic regression (Zadrozny, Elkan, 2002) in which every step also counts ten pairs that are as the logistic curve says,
///   with straight lines between the steps' middles, for the shape that many pairs show.
public struct DistanceCalibration: Sendable, Hashable, Codable {
  public enum Method: String, Sendable, Codable { case logistic, isotonic }

  /// The mapping that was chosen.
  public let method: Method
  /// How good the probabilities are, on pairs that they were not learnt from: each fold is told by the others.
  public let quality: CalibrationQuality
  /// What comes of a threshold on the distance, counted on the pairs.
  public let precisionCurve: PrecisionCurve
  /// Pairs that were the same.
  public let positives: Int
  /// Pairs that were different.
  public let negatives: Int
  let mapping: DistanceMapping

  private enum CodingKeys: String, CodingKey {
    case method, quality, positives, negatives, mapping
    case precisionCurve = "precision_curve"
  }

  /// Learns from pairs.
  ///
  /// - Parameters:
  ///   - samples: a sample of the population that the probabilities shall speak of, in any order; at least one pair that is the
  ///     same and one that is different.
  ///   - folds: parts that the groups of pairs are divided into, to choose the mapping and to measure it; at least 2.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there is no pair of a kind or a weight is not
  ///   above 0, ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where a distance or a weight is NaN or infinite.
  /// - Complexity: O(`folds * samples.count * log(samples.count)`)
  public init(learningFrom samples: [JudgedDistance], folds: Int = 5) throws(SimilarityError) {
    precondition(folds >= 2, "a calibration is tried on at least 2 folds")
    for (number, sample) in samples.enumerated() {
      guard sample.distance.isFinite, sample.weight.isFinite else {
        throw SimilarityError(
          .notFinite, "pair \(number) has distance \(sample.distance) and weight \(sample.weight); both must be finite")
      }
      guard sample.weight > 0 else {
        throw SimilarityError(.invalidArgument, "the weight of a pair is above 0; pair \(number) has \(sample.weight)")
      }
    }
    positives = samples.count(where: \.isSame)
    negatives = samples.count - positives
    guard positives > 0, negatives > 0 else {
      throw SimilarityError(
        .invalidArgument,
        "a calibration needs pairs that are the same and pairs that are different; found \(positives) and \(negatives)")
    }
    let unit = DistanceScale.unit(of: samples.map(\.distance))
    // A logarithm needs distances that are none below 0, which inner products are.
    let scales: [DistanceScale.Kind] = samples.contains { $0.distance < 0 } ? [.linear] : [.logarithmic, .linear]
    let candidates = scales.flatMap { kind in
      [Method.logistic, .isotonic].map { (method: $0, scale: DistanceScale(kind: kind, unit: unit)) }
    }
    let fold = Self.folds(of: samples, count: folds)
    let used = (fold.max() ?? 0) + 1
    var best: (method: Method, scale: DistanceScale, quality: CalibrationQuality)?
    for candidate in candidates {
      var probabilities = [Double](repeating: 0, count: samples.count)
      for number in 0..<used {
        let others = used == 1 ? samples : samples.indices.filter { fold[$0] != number }.map { samples[$0] }
        let mapping = DistanceMapping(candidate.method, candidate.scale, others)
        for i in samples.indices where fold[i] == number {
          probabilities[i] = mapping.probability(samples[i].distance)
        }
      }
      let quality = CalibrationQuality(
        probabilities: probabilities, outcomes: samples.map(\.isSame), weights: samples.map(\.weight))
      if best.map({ quality.logLoss < $0.quality.logLoss }) ?? true {
        best = (candidate.method, candidate.scale, quality)
      }
    }
    guard let best else { preconditionFailure("there are always candidates") }
    method = best.method
    quality = best.quality
    mapping = DistanceMapping(best.method, best.scale, samples)
    precisionCurve = PrecisionCurve(samples)
  }

  /// The probability that a pair of pictures at this distance is the same, from 0 to 1; NaN where the distance is.
  ///
  /// - Complexity: O(log(steps))
  public func probability(ofDistance distance: Float) -> Double { mapping.probability(distance) }

  /// How good the probabilities are for other pairs.
  ///
  /// - Parameter samples: Finite, with weights above 0.
  public func quality(on samples: [JudgedDistance], bins: Int = 15) -> CalibrationQuality {
    CalibrationQuality(
      probabilities: samples.map { probability(ofDistance: $0.distance) }, outcomes: samples.map(\.isSame),
      weights: samples.map(\.weight), bins: bins)
  }

  /// A fold for each sample: those of one group in one, groups with pairs that are the same spread evenly. Deterministic.
  private static func folds(of samples: [JudgedDistance], count: Int) -> [Int] {
    var numbers: [Int: Int] = [:]
    var hasSame: [Bool] = []
    let group = samples.map { sample -> Int in
      let known = sample.group.flatMap { numbers[$0] }
      let number = known ?? hasSame.count
      if known == nil {
        hasSame.append(false)
        if let group = sample.group { numbers[group] = number }
      }
      if sample.isSame { hasSame[number] = true }
      return number
    }
    // The order of the samples may mean something, so neighbours are mixed.
    var random = SplitMix64(state: 0)
    let order = hasSame.indices.map { (key: random.next(), group: $0) }
      .sorted { (hasSame[$0.group] ? 0 : 1, $0.key) < (hasSame[$1.group] ? 0 : 1, $1.key) }
    var foldOfGroup = [Int](repeating: 0, count: hasSame.count)
    for (position, entry) in order.enumerated() { foldOfGroup[entry.group] = position % count }
    return group.map { foldOfGroup[$0] }
  }
}

/// Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators (2014).
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(state: UInt64) { self.state = state }

  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
