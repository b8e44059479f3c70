internal import ImageSimilarityCore
internal import ImageSimilaritySearch
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// How a calibration from edited copies is made.
public struct CopyCalibrationOptions: Sendable, Hashable {
  /// Pictures of the model that are edited, at most.
  public var pictures = 500
  /// Edited copies of each.
  public var copies = 3
  /// What is done to them; each picture gets `copies` of these, at random.
  public var edits: [ImageEdit] = [
    .crop(0.95), .crop(0.84), .mirror, .brightness(0.7), .brightness(1.3), .contrast(1.3), .recompress(quality: 30),
    .resize(0.5), .grey, .tilt(degrees: 5), .watermark,
  ]
  /// The nearest neighbours of each copy that are paired with it.
  public var neighbors = 10
  /// How often a query is a copy of a picture of the model at all, above 0, to 1: what the probabilities take for granted before
  /// they see a distance.
  public var copyShare = 0.5
  /// Which pictures are taken, and which edits they get.
  public var seed: UInt64 = 0

  public init() {}
}

extension SimilarityModel {
  /// Learns what distances say about "the same picture" from edited copies of the model's own pictures.
  ///
  /// Each copy asks for its nearest neighbours: the original is the same picture, all others are not. A query that is no copy has
  /// such others as neighbours, too, so the probability is that of a pair of a query, which is a copy as often as `copyShare` says,
  /// and one of its nearest neighbours.
  ///
  /// The model may hold copies already, which are not different. A neighbour that is as near to the original as the nearest tenth
  /// of the edited copies is taken for one and left out; ``SimilarityCalibration/Part/leftOut`` counts these, and the pictures
  /// whose files could not be read.
  ///
  /// - Parameter progress: Called with the number of pictures done, and that of all.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where no file of a picture can be read or there is
  ///   one picture only; what opening the extractor throws.
  /// - Complexity: O(pictures * copies * images * dimension), and as many pictures are embedded as there are copies.
  public func calibrateSamePicture(
    _ options: CopyCalibrationOptions = CopyCalibrationOptions(), progress: ((Int, Int) -> Void)? = nil
  ) async throws -> SimilarityCalibration.Part {
    try await copyPairs(options, progress: progress).learn("of a picture and its copy")
  }

  /// The pairs that ``calibrateSamePicture(_:progress:)`` learns from.
  package func copyPairs(
    _ options: CopyCalibrationOptions, progress: ((Int, Int) -> Void)? = nil
  ) async throws -> CalibrationPairs {
    precondition(
      options.pictures >= 1 && options.copies >= 1 && options.neighbors >= 1 && !options.edits.isEmpty
        && options.copyShare > 0 && options.copyShare <= 1,
      "a calibration needs pictures, copies of them, and a share of copies from 0 to 1")
    let embedder = try embedder.get()
    var random = SplitMix64(state: options.seed)
    let all = try ids
    let candidates = all.shuffled(using: &random)
    let wanted = min(options.pictures, all.count)
    var trials: [CopyTrial] = []
    var (next, unreadable) = (0, 0)
    while next < candidates.count, trials.count < wanted {
      let tried = candidates[next..<min(next + min(Self.picturesAtOnce, wanted - trials.count), candidates.count)]
      next += tried.count
      let plans = tried.map { id in
        (id: id, edits: Array(options.edits.shuffled(using: &random).prefix(options.copies)))
      }
      let copies = try await editedCopies(plans)
      unreadable += plans.count - copies.count
      let first = trials.count
      for copy in copies {
        let neighbors = try await query(.id(copy.original), k: 2 * options.neighbors + 1)
        let other = all.randomElement(using: &random).flatMap { $0 == copy.original ? nil : $0 }
        trials.append(CopyTrial(original: copy.original, nearOriginal: neighbors, randomOther: other))
      }
      // An item's id is the number of its trial here.
      let items = copies.enumerated().flatMap { number, copy in
        copy.files.map { ImageItem(id: String(first + number), source: .data($0)) }
      }
      try await embedder.embed(.items(items)) { batch in
        for (row, item) in batch.items.enumerated() {
          guard let vector = batch.embeddings?[row], let number = Int(item.id) else { continue }
          let answer = try await answer(to: vector, copyOf: trials[number].original, neighbors: options.neighbors)
          trials[number].answers.append(answer)
          progress?(number, wanted)
        }
      }
    }
    guard !trials.isEmpty else {
      throw SimilarityError(
        .invalidArgument, "none of the \(all.count) pictures of \(url.path) can be read from its file, to be edited")
    }
    let (samples, copiesFound) = try judgedDistances(of: trials, options)
    return CalibrationPairs(
      samples: samples, source: .editedCopies, queries: trials.count, leftOut: unreadable + copiesFound,
      images: all.count)
  }

  /// Pictures that are edited before their copies are embedded.
  private static let picturesAtOnce = 32

  /// The edited copies of pictures, as JPEG files, in order and without those of pictures that cannot be read.
  private func editedCopies(
    _ plans: [(id: String, edits: [ImageEdit])]
  ) async throws -> [(original: String, files: [Data])] {
    // Twice what the network sees: large enough for it, small enough to be edited in no time.
    let side = 2 * max(extractor.input.size.width, extractor.input.size.height)
    return try await withThrowingTaskGroup(of: (Int, [Data]).self) { group in
      let pool = WorkerPool(width: threads)
      for (number, plan) in plans.enumerated() {
        guard let path = try record(plan.id)?.path else { continue }
        group.addTask(executorPreference: pool) {
          do {
            let picture = try VipsImageDecoder().decode(.file(URL(fileURLWithPath: path)), maximumSide: side)
            return (number, try plan.edits.map { try $0.jpeg(of: picture) })
          } catch let error as SimilarityError where error.code.isAboutImage {
            return (number, [])
          }
        }
      }
      var files = [[Data]](repeating: [], count: plans.count)
      for try await (number, copies) in group { files[number] = copies }
      return zip(plans, files).compactMap { $1.isEmpty ? nil : ($0.id, $1) }
    }
  }

  /// What a copy finds.
  private func answer(
    to vector: [Float], copyOf original: String, neighbors: Int
  ) async throws -> CopyTrial.Answer {
    let hits = try await query(.vector(vector), k: 2 * neighbors + 1)
    var own = hits.first { $0.id == original }
    if own == nil { own = try await query(.vector(vector), k: 1) { $0.id == original }.first }
    return CopyTrial.Answer(distance: own?.distance, others: hits.filter { $0.id != original })
  }

  /// The pairs that copies and what they found stand for, and how many pictures were taken for copies of one another.
  private func judgedDistances(
    of trials: [CopyTrial], _ options: CopyCalibrationOptions
  ) throws -> ([JudgedDistance], copiesFound: Int) {
    let distances = trials.flatMap { $0.answers.compactMap(\.distance) }.sorted()
    let nearlyZero = distances.isEmpty ? 0 : distances[distances.count / 10]
    var samples: [JudgedDistance] = []
    var copiesFound: Set<String> = []
    var groups: [String: Int] = [:]
    var randomPairs: [JudgedPair] = []
    for (group, trial) in trials.enumerated() {
      let copies = Set(trial.nearOriginal.filter { $0.distance <= nearlyZero && $0.id != trial.original }.map(\.id))
      copiesFound.formUnion(copies)
      groups[trial.original] = group
      for answer in trial.answers {
        if let distance = answer.distance {
          samples.append(JudgedDistance(distance: distance, isSame: true, weight: options.copyShare, group: group))
        }
        for other in answer.others.filter({ !copies.contains($0.id) }).prefix(options.neighbors) {
          samples.append(JudgedDistance(distance: other.distance, isSame: false, group: group))
        }
      }
      if let other = trial.randomOther, !copies.contains(other) {
        randomPairs.append(JudgedPair(trial.original, other, isSame: false))
      }
    }
    samples += try judgedDistances(of: randomPairs) { groups[$0.first] }
    return (samples, copiesFound.count)
  }
}

/// A picture whose edited copies were looked for.
private struct CopyTrial: Sendable {
  /// What one of them found.
  struct Answer: Sendable {
    /// From the original; nil where it is gone.
    var distance: Float?
    /// The nearest other pictures.
    var others: [Hit]
  }

  var original: String
  var nearOriginal: [Hit]
  var randomOther: String?
  var answers: [Answer] = []
}
