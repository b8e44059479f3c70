package import ImageSimilarityCore
package import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A pair of pictures of a model that somebody judged.
public struct JudgedPair: Sendable, Hashable, Codable {
  public var first: String
  public var second: String
  public var isSame: Bool

  private enum CodingKeys: String, CodingKey {
    case first = "a"
    case second = "b"
    case isSame = "same"
  }

  public init(_ first: String, _ second: String, isSame: Bool) {
    self.first = first
    self.second = second
    self.isSame = isSame
  }
}

/// How a calibration from labels takes its pairs.
public struct KindCalibrationOptions: Sendable, Hashable {
  /// Pictures that stand for queries, at most.
  public var queries = 1000
  /// The nearest neighbours of each that are paired with it.
  public var neighbors = 10
  /// Which pictures are taken.
  public var seed: UInt64 = 0

  public init() {}
}

extension SimilarityModel {
  /// Learns what distances say about "the same kind of thing" from labels: a pair is the same where both pictures have one label
  /// or, of several, one in common.
  ///
  /// A picture's labels are those of its record, or else the name of its folder; pictures with neither are left out, and counted in
  /// ``SimilarityCalibration/Part/leftOut``. Of the pictures, `queries` are taken at random, each in turn leaves the model and
  /// asks for its nearest neighbours. The probability is that of one of these pairs; one random pair a query is there as well, so
  /// that great distances are known, too.
  ///
  /// Where the model has learnt a metric from these very labels, its own pictures fit it better than new ones will, and the
  /// probabilities are too high: calibrate on pictures that it has not learnt from, or from pairs of such.
  ///
  /// - Parameter progress: Called with the number of queries done, and that of all.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there are no two pictures of one label, or no two
  ///   of different labels, among them.
  /// - Complexity: O(queries * images * dimension)
  public func calibrateSameKind(
    _ options: KindCalibrationOptions = KindCalibrationOptions(), progress: ((Int, Int) -> Void)? = nil
  ) async throws -> SimilarityCalibration.Part {
    try await kindPairs(options, progress: progress).learn("the same label")
  }

  /// The pairs that ``calibrateSameKind(_:progress:)`` learns from.
  package func kindPairs(
    _ options: KindCalibrationOptions, progress: ((Int, Int) -> Void)? = nil
  ) async throws -> CalibrationPairs {
    precondition(options.queries >= 1 && options.neighbors >= 1, "a calibration needs queries and their neighbours")
    var labels: [String: Set<String>] = [:]
    let all = try ids
    for id in all {
      let known = try record(id)?.labels.filter { !$0.isEmpty } ?? []
      if !known.isEmpty { labels[id] = Set(known) }
    }
    func isSame(_ a: String, _ b: String) -> Bool { !(labels[a] ?? []).isDisjoint(with: labels[b] ?? []) }
    let labeled = all.filter { labels[$0] != nil }
    var random = SplitMix64(state: options.seed)
    let queries = labeled.shuffled(using: &random).prefix(options.queries)
    var samples: [JudgedDistance] = []
    var randomPairs: [JudgedPair] = []
    for (group, id) in queries.enumerated() {
      try Task.checkCancellation()
      let hits = try await query(.id(id), k: options.neighbors + 1).filter { $0.id != id }.prefix(options.neighbors)
      for hit in hits where labels[hit.id] != nil {
        samples.append(JudgedDistance(distance: hit.distance, isSame: isSame(id, hit.id), group: group))
      }
      if let other = labeled.randomElement(using: &random), other != id {
        randomPairs.append(JudgedPair(id, other, isSame: isSame(id, other)))
      }
      progress?(group + 1, queries.count)
    }
    let groups = Dictionary(uniqueKeysWithValues: queries.enumerated().map { ($1, $0) })
    samples += try judgedDistances(of: randomPairs) { groups[$0.first] }
    return CalibrationPairs(
      samples: samples, source: .labels, queries: queries.count, leftOut: all.count - labeled.count, images: all.count)
  }

  /// Learns what distances say from pairs of the model's pictures that somebody judged, "the same picture" or "the same kind".
  ///
  /// The probability is that of a pair out of a population that these pairs are a sample of: take them as they come, from hits of
  /// queries, say. Pairs that were picked for being the same, or different, need a `baseRate`.
  ///
  /// - Parameter baseRate: The part of pairs in the population that are the same, between 0 and 1: the pairs are weighted so. As
  ///   in the pairs where nil.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/unknownID`` where a picture is not in the model,
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where there is no pair of a kind.
  /// - Complexity: O(pairs * dimension)
  public func calibrate(on pairs: [JudgedPair], baseRate: Double? = nil) async throws -> SimilarityCalibration.Part {
    if let baseRate, !(baseRate > 0 && baseRate < 1) {
      throw SimilarityError(.invalidArgument, "a base rate is between 0 and 1; found \(baseRate)")
    }
    var groups: [String: Int] = [:]
    for pair in pairs where groups[pair.first] == nil { groups[pair.first] = groups.count }
    var samples = try judgedDistances(of: pairs) { groups[$0.first] }
    let same = Double(samples.count(where: \.isSame))
    if let baseRate, same > 0, same < Double(samples.count) {
      for i in samples.indices {
        samples[i].weight =
          samples[i].isSame ? baseRate / same : (1 - baseRate) / (Double(samples.count) - same)
      }
    }
    return try CalibrationPairs(
      samples: samples, source: .pairs, queries: groups.count, leftOut: 0, images: count
    ).learn("judged the same")
  }

  /// The distances of pairs of the model's pictures.
  func judgedDistances(of pairs: [JudgedPair], group: (JudgedPair) -> Int?) throws -> [JudgedDistance] {
    var samples: [JudgedDistance] = []
    samples.reserveCapacity(pairs.count)
    for pair in pairs {
      let vectors = try [pair.first, pair.second].map { id in
        guard let vector = try store.searchedVector(id) else {
          throw SimilarityError(.unknownID, "there is no picture '\(id)' in \(url.path)")
        }
        return EmbeddingMatrix([vector])
      }
      samples.append(
        JudgedDistance(
          distance: vectors[0].distances(toRowsOf: vectors[1], metric: metric)[0], isSame: pair.isSame,
          group: group(pair)))
    }
    return samples
  }
}

/// Pairs to learn from, and where they come from; see ``SimilarityCalibration/Part``.
package struct CalibrationPairs: Sendable {
  package var samples: [JudgedDistance]
  var source: SimilarityCalibration.Source
  var queries: Int
  package var leftOut: Int
  var images: Int

  /// - Parameter same: What pairs that are the same have or are, for the error where there are none or nothing else.
  package func learn(_ same: String) throws(SimilarityError) -> SimilarityCalibration.Part {
    let positives = samples.count(where: \.isSame)
    guard positives > 0, positives < samples.count else {
      throw SimilarityError(
        .invalidArgument,
        "there is nothing to learn from: of \(samples.count) pairs of pictures, \(positives) are \(same)")
    }
    return SimilarityCalibration.Part(
      mapping: try DistanceCalibration(learningFrom: samples), source: source, queries: queries, leftOut: leftOut,
      images: images)
  }
}
