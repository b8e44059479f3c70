internal import ImageSimilarityCore
internal import ImageSimilaritySearch

extension SimilarityModel {
  /// The groups of shots of one scene: each two of a group were taken within `burstSeconds`, as the cameras say, and look
  /// alike; where a camera does not say, they look very much alike and have the same layout.
  ///
  /// - Parameter representatives: By pictures in groups of copies, the best picture of the group, which stands for it.
  func burstGroups(
    _ compared: ComparedPictures, _ pairs: CandidatePairs, _ matches: PictureMatches, _ representatives: [Int: Int],
    _ verdicts: DuplicateVerdicts, _ options: DuplicateOptions
  ) throws -> [NumberedGroup] {
    var matches = matches
    var judge = BurstJudge(compared, seconds: options.burstSeconds)
    var edges: [(pair: NumberPair, distance: Float)] = []
    for (pair, distance) in pairs.near where distance <= BurstJudge.timedDistance {
      let (a, b) = (representatives[Int(pair.low)] ?? Int(pair.low), representatives[Int(pair.high)] ?? Int(pair.high))
      if a != b { edges.append((NumberPair(a, b), distance)) }
    }
    edges.sort { ($0.distance, $0.pair) < ($1.distance, $1.pair) }

    var members: [Int: [Int]] = [:]
    var groupOf: [Int: Int] = [:]
    var distances: [NumberPair: Float] = [:]
    for (pair, _) in edges {
      try Task.checkCancellation()
      let (a, b) = (Int(pair.low), Int(pair.high))
      let (first, second) = (members[groupOf[a] ?? a] ?? [a], members[groupOf[b] ?? b] ?? [b])
      guard first[0] != second[0] else { continue }
      var isOne = true
      pairing: for x in first {
        for y in second {
          let pair = NumberPair(x, y)
          if verdicts.areDifferent(compared.pictures[x].id, compared.pictures[y].id) { isOne = false }
          // Copies that were not put into one group, for the user's sake or another's, are no burst.
          if isOne, pairs.whole.contains(pair) || pairs.near[pair] != nil, matches.alignment(x, y) != nil { isOne = false }
          if isOne {
            let distance = try distances[pair] ?? embeddingDistance(compared.pictures[x].id, compared.pictures[y].id)
            distances[pair] = distance
            isOne = judge.isBurst(x, y, distance: distance)
          }
          if !isOne { break pairing }
        }
      }
      guard isOne else { continue }
      let joined = (first + second).sorted()
      members[first[0]] = nil
      members[second[0]] = nil
      members[joined[0]] = joined
      for number in joined { groupOf[number] = joined[0] }
    }
    return members.values.filter { $0.count > 1 }.sorted { $0[0] < $1[0] }.map { group in
      var worst = (first: group[0], second: group[1], similarity: 2.0)
      for (i, x) in group.enumerated() {
        for y in group[(i + 1)...] {
          let similarity = 1 - Double(distances[NumberPair(x, y)] ?? 0)
          if similarity < worst.similarity { worst = (x, y, similarity) }
        }
      }
      return NumberedGroup(kind: .burst, members: group, worstPair: worst, middle: group[0])
    }
  }

  /// The cosine distance of what the extractor made of two pictures.
  private func embeddingDistance(_ a: String, _ b: String) throws(SimilarityError) -> Float {
    guard let x = try store.embedding(a), let y = try store.embedding(b) else { return .infinity }
    var (xx, yy, xy) = (0.0, 0.0, 0.0)
    for (a, b) in zip(x, y) {
      xx += Double(a) * Double(a)
      yy += Double(b) * Double(b)
      xy += Double(a) * Double(b)
    }
    return xx > 0 && yy > 0 ? Float(max(0, 1 - xy / (xx * yy).squareRoot())) : .infinity
  }
}

/// Says whether two different pictures are of one burst.
private struct BurstJudge {
  /// How far embeddings are apart at most where the times are known, and where they are not.
  static let timedDistance: Float = 0.3
  private static let untimedDistance: Float = 0.08
  /// What the pictures correlate at least, as a whole, where the times are not known.
  private static let untimedCorrelation = 0.8

  private let compared: ComparedPictures
  private let seconds: Double
  private var times: [Int: Double?] = [:]

  init(_ compared: ComparedPictures, seconds: Double) {
    self.compared = compared
    self.seconds = seconds
  }

  mutating func isBurst(_ a: Int, _ b: Int, distance: Float) -> Bool {
    if let first = time(a), let second = time(b) {
      return abs(first - second) <= seconds && distance <= Self.timedDistance
    }
    guard distance <= Self.untimedDistance else { return false }
    let (first, second) = (compared.alignable(a), compared.alignable(b))
    return AlignablePicture.correlation(first.square.pixels, second.square.pixels) >= Self.untimedCorrelation
  }

  private mutating func time(_ number: Int) -> Double? {
    if let known = times[number] { return known }
    let time = CaptureTime.seconds(ofFileAt: compared.pictures[number].path)
    times[number] = .some(time)
    return time
  }
}
