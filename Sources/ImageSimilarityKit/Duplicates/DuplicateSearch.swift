internal import ImageSimilarityCore
internal import ImageSimilaritySearch
internal import ImageSimilarityVips

extension SimilarityModel {
  /// Finds the pictures of the model that are copies of one another, or shots of one burst.
  ///
  /// Copies are recognised by their pixels: the files that the model names are read, and pairs that may be copies are laid
  /// over one another. Pairs come from two searches: a description of the whole picture that does not change where it is
  /// turned or mirrored, and, for cropped copies and bursts, the extractor's embeddings. Pictures are in one group of copies
  /// only where all of them match one and the same member, and each two of them agree where they lie over it; nothing
  /// chains from picture to picture. What ``duplicateVerdicts()`` says is respected. No file is changed.
  ///
  /// - Throws: `CancellationError` where cancelled, or what reading the model throws. Files that are gone or damaged are listed
  ///   in the report.
  /// - Complexity: O(images² * dimension) for the pairs, some 10^11 multiplications for 10,000 images; then about a
  ///   millisecond a pair that is compared, some ten pairs an image. 4 KiB of memory an image, and the pairs.
  public func duplicates(
    _ options: DuplicateOptions = DuplicateOptions(), progress: DuplicateProgress.Handler? = nil
  ) async throws -> DuplicateReport {
    let verdicts = try duplicateVerdicts()
    // What the extractor made, not the learnt projection: that draws pictures of one class together.
    let rows = try rawRows()
    var records: [ImageRecord] = []
    for part in rows.parts {
      records += try rows.records(part).filter { options.predicate?.matches($0) ?? true }
    }
    let decoder = embedder.decoder as? VipsImageDecoder ?? VipsImageDecoder()
    let pool = WorkerPool(width: threads)
    var compared = ComparedPictures(records, decoder: decoder)
    try await compared.findCopies(pool: pool)

    let needsPixels = options.kinds != [.exact]
    if needsPixels {
      let total = compared.distinct.count
      try await compared.decode(pool: pool) { progress?(DuplicateProgress(stage: .reading, done: $0, total: total)) }
    }
    var pairs = CandidatePairs()
    if needsPixels {
      progress?(DuplicateProgress(stage: .pairing, done: 0, total: compared.distinct.count))
      pairs = try await candidatePairs(compared, neighbors: options.neighbors)
    }
    let matches = try await PictureMatches(compared, pairs, pool: pool) {
      progress?(DuplicateProgress(stage: .comparing, done: $0, total: $1))
    }
    var groups = copyGroups(compared, matches, verdicts, options.kinds)
    let chooser = BestShot(compared, verdicts)
    var report: [DuplicateGroup] = []
    var representatives: [Int: Int] = [:]
    for (done, group) in groups.enumerated() {
      try Task.checkCancellation()
      let chosen = chooser.group(group)
      for number in group.members { representatives[number] = chosen.bestNumber }
      report.append(chosen.group)
      progress?(DuplicateProgress(stage: .choosing, done: done + 1, total: groups.count))
    }
    if options.kinds.contains(.burst) {
      groups = try burstGroups(compared, pairs, matches, representatives, verdicts, options)
      for group in groups { report.append(chooser.group(group).group) }
    }
    report.removeAll { !options.kinds.contains($0.kind) }
    report.sort { ($0.kind == .burst ? 1 : 0, $0.best) < ($1.kind == .burst ? 1 : 0, $1.best) }
    return DuplicateReport(
      images: compared.pictures.count, groups: report, unreadable: compared.unreadable.sorted { $0.id < $1.id })
  }

  private func candidatePairs(_ compared: ComparedPictures, neighbors: Int) async throws -> CandidatePairs {
    var pairs = CandidatePairs()
    guard compared.distinct.count > 1 else { return pairs }
    let numbers = Dictionary(uniqueKeysWithValues: compared.distinct.map { (compared.pictures[$0].id, $0) })

    let index = ExactIndex(dimension: FrameInvariants.dimension, threads: threads)
    let described = zip(compared.distinct, compared.invariants).compactMap { number, vector in
      vector.map { (compared.pictures[number].id, $0) }
    }
    if !described.isEmpty {
      try index.upsert(EmbeddingMatrix(described.map(\.1)), ids: described.map(\.0))
      let request = SearchRequest(k: CandidatePairs.wholeNeighbors, radius: CandidatePairs.wholeRadius)
      for (id, found) in try await index.neighborGraph(request) {
        guard let number = numbers[id] else { continue }
        for neighbor in found { numbers[neighbor.id].map { pairs.addWhole(number, $0) } }
      }
    }

    let sources = try store.segments.map { segment in
      try ChosenRows(of: RawSegment(segment)) { row throws(SimilarityError) in numbers[try segment.id(row)] != nil }
    }
    let search = ExactSearch(
      sources, dimension: extractor.fingerprint.dimension, metric: .cosine, threads: threads)
    let request = SearchRequest(k: max(1, neighbors), radius: CandidatePairs.partRadius)
    for (id, found) in try await search.neighborGraph(request, includesSelf: false) {
      guard let number = numbers[id] else { continue }
      for neighbor in found { numbers[neighbor.id].map { pairs.addNear(number, $0, distance: neighbor.distance) } }
    }
    return pairs
  }
}

/// A pair of picture numbers, the lower one first.
struct NumberPair: Hashable, Sendable, Comparable {
  let low: Int32
  let high: Int32

  init(_ a: Int, _ b: Int) {
    low = Int32(min(a, b))
    high = Int32(max(a, b))
  }

  static func < (a: NumberPair, b: NumberPair) -> Bool { (a.low, a.high) < (b.low, b.high) }
}

/// The pairs of pictures that may be alike.
struct CandidatePairs: Sendable {
  // On edited copies of the Caltech pictures, each copy but the cropped ones is the nearest or second by its invariants, at
  // .06 or less; the cropped ones are among the eight nearest by their embeddings, at .42 or less.
  static let wholeNeighbors = 8
  static let wholeRadius: Float = 0.08
  static let partRadius: Float = 0.45

  /// Alike as a whole.
  private(set) var whole: Set<NumberPair> = []
  /// Alike by their embeddings: one may be a part of the other. With the embeddings' cosine distance.
  private(set) var near: [NumberPair: Float] = [:]

  mutating func addWhole(_ a: Int, _ b: Int) { whole.insert(NumberPair(a, b)) }
  mutating func addNear(_ a: Int, _ b: Int, distance: Float) { near[NumberPair(a, b)] = distance }

  /// All pairs, in order, so that those of one picture are together.
  var all: [(pair: NumberPair, seeksParts: Bool)] {
    whole.union(near.keys).sorted().map { ($0, near[$0] != nil) }
  }
}

/// The pairs of pictures that show the same photograph.
struct PictureMatches: Sendable {
  private let compared: ComparedPictures
  private var matched: [NumberPair: PictureAlignment] = [:]
  private var refused: Set<NumberPair> = []

  init(
    _ compared: ComparedPictures, _ pairs: CandidatePairs, pool: WorkerPool, progress: (Int, Int) -> Void
  ) async throws {
    self.compared = compared
    let all = pairs.all
    var done = 0
    try await parallelPass(count: all.count, rangeLength: 64, pool: pool) { range in
      var first: (number: Int32, picture: AlignablePicture)?
      return range.map { i -> PictureAlignment? in
        let (pair, seeksParts) = all[i]
        if first?.number != pair.low { first = (pair.low, compared.alignable(Int(pair.low))) }
        guard let first else { return nil }
        return PictureComparison.compare(first.picture, compared.alignable(Int(pair.high)), seeksParts: seeksParts)
      }
    } _: { range, found in
      for (i, alignment) in zip(range, found) { remember(all[i].pair, alignment) }
      done += range.count
      progress(done, all.count)
    }
  }

  /// Pairs that match, the most alike first.
  var matching: [(pair: NumberPair, similarity: Double)] {
    matched.map { pair, alignment in (pair, alignment.similarity) }
      .sorted { ($1.similarity, $0.pair) < ($0.similarity, $1.pair) }
  }

  /// How `a` lies over `b`; nil where they do not match. Compares them where that was not done yet.
  mutating func alignment(_ a: Int, _ b: Int) -> PictureAlignment? {
    let pair = NumberPair(a, b)
    let found: PictureAlignment?
    if let seen = matched[pair] {
      found = seen
    } else if refused.contains(pair) {
      found = nil
    } else {
      found = PictureComparison.compare(
        compared.alignable(Int(pair.low)), compared.alignable(Int(pair.high)), seeksParts: true)
      remember(pair, found)
    }
    return a <= b ? found : found?.exchanged
  }

  private mutating func remember(_ pair: NumberPair, _ alignment: PictureAlignment?) {
    if let alignment { matched[pair] = alignment } else { refused.insert(pair) }
  }
}
