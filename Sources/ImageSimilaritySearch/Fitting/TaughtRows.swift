import ImageSimilarityCore

/// Rows and what is known of them.
struct TaughtRows: Sendable {
  let embeddings: EmbeddingMatrix
  /// The classes of each row, ascending; none where nothing is known.
  let classesOfRow: [[Int]]
  /// The rows of each class, ascending. Classes are in the order of their names.
  let members: [[Int]]

  init(_ embeddings: EmbeddingMatrix, labels: [[String]]) throws(SimilarityError) {
    guard labels.count == embeddings.rows else {
      throw SimilarityError(
        .invalidArgument,
        "each image needs a list of labels: found \(labels.count) lists for \(embeddings.rows) images")
    }
    if let row = embeddings.firstNonFiniteRow() {
      throw SimilarityError(.notFinite, "the embedding in row \(row) has an element that is NaN or infinite")
    }
    let names = Set(labels.joined()).sorted()
    let numbers = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
    var members = [[Int]](repeating: [], count: names.count)
    var classesOfRow: [[Int]] = []
    classesOfRow.reserveCapacity(labels.count)
    for (row, own) in labels.enumerated() {
      let classes = Set(own).compactMap { numbers[$0] }.sorted()
      for c in classes { members[c].append(row) }
      classesOfRow.append(classes)
    }
    guard !names.isEmpty else {
      throw SimilarityError(.invalidArgument, "no image has a label: expected labels of at least two classes")
    }
    guard names.count > 1 else {
      throw SimilarityError(
        .invalidArgument, "all labelled images have the label \"\(names[0])\": expected at least two classes")
    }
    guard members.contains(where: { $0.count > 1 }) else {
      throw SimilarityError(
        .invalidArgument, "no label is that of two images: expected at least one class with two images")
    }
    self.embeddings = embeddings
    self.classesOfRow = classesOfRow
    self.members = members
  }

  /// Classes that can be learnt: those of two rows or more.
  var learnable: [Int] { members.indices.filter { members[$0].count > 1 } }
}

/// A fold: what is learnt from, and what is then compared. The two have no row in common.
struct Fold: Sendable {
  /// Ascending.
  var learnt: [Int]
  /// Classes whose scores are learnt.
  var classes: [Int]
  /// Ascending.
  var compared: [Int]
}

extension TaughtRows {
  /// Half of the images of each class, or as many as `limit` allows, are compared by a projection from the others. Nil
  /// where there are no two classes of four images.
  func heldOutImages(limit: Int, seed: UInt64) -> Fold? {
    var random = SplitMix(seed: seed)
    let order = learnable.filter { members[$0].count >= 4 }.shuffled(using: &random)
    guard order.count > 1 else { return nil }
    let most = max(2, limit / order.count)
    var compared: Set<Int> = []
    for c in order {
      // A row of several classes may have been drawn already.
      let free = members[c].filter { !compared.contains($0) }
      let drawn = min(members[c].count / 2, most, free.count - 2)
      if drawn < 1 || compared.count + drawn > limit { continue }
      compared.formUnion(free.shuffled(using: &random).prefix(drawn))
    }
    let learnt = classesOfRow.indices.filter { !compared.contains($0) }
    let classes = members.indices.filter { members[$0].count(where: { !compared.contains($0) }) > 1 }
    guard compared.count > 1, !classes.isEmpty else { return nil }
    return Fold(learnt: learnt, classes: classes, compared: compared.sorted())
  }

  /// Two folds: half of the classes, or as many of their images as `limit` allows, are compared by a projection from the
  /// other half, and the other way around. Empty where there are fewer than six classes.
  func heldOutClasses(limit: Int, seed: UInt64) -> [Fold] {
    var random = SplitMix(seed: seed &+ 1)
    let order = learnable.shuffled(using: &random)
    guard order.count >= 6 else { return [] }
    let halves = [Array(order[..<(order.count / 2)]), Array(order[(order.count / 2)...])]
    return [(halves[0], halves[1]), (halves[1], halves[0])].compactMap { classes, others in
      let heldOut = Set(others)
      let learnt = classesOfRow.indices.filter { row in !classesOfRow[row].contains(where: heldOut.contains) }
      let taught = Set(classes)
      let most = max(2, limit / others.count)
      var compared: Set<Int> = []
      for c in others {
        let free = members[c].filter { row in
          !compared.contains(row) && !classesOfRow[row].contains(where: taught.contains)
        }
        if compared.count + min(most, free.count) > limit { continue }
        compared.formUnion(free.shuffled(using: &random).prefix(most))
      }
      let isLearnt = Set(learnt)
      let learnable = classes.filter { members[$0].count(where: isLearnt.contains) > 1 }.sorted()
      if compared.count < 2 || learnable.isEmpty { return nil }
      return Fold(learnt: learnt, classes: learnable, compared: compared.sorted())
    }
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
