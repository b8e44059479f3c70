/// Pictures that belong together, by their numbers, before the best is chosen.
struct NumberedGroup {
  var kind: DuplicateKind
  /// Ascending.
  var members: [Int]
  var worstPair: (first: Int, second: Int, similarity: Double)
  /// How members of a group of copies lie over its middle picture.
  var middle: Int
  var alignments: [Int: PictureAlignment] = [:]
}

/// Joins pictures that match into groups around a middle picture.
struct CopyGrouping {
  /// What two members must correlate at least, where they lie over the middle picture and both show something.
  private static let agreement = 0.8
  /// Points in each direction at which members are compared over the middle picture.
  private static let grid = 32

  private struct Cluster {
    var middle: Int
    var members: [Int]
    /// The members' values over the middle picture; nil where they do not reach.
    var views: [Int: [Float?]]
    var alignments: [Int: PictureAlignment]
    var worst: (first: Int, second: Int, similarity: Double)
  }

  private let compared: ComparedPictures
  private var matches: PictureMatches
  private let isForbidden: (Int, Int) -> Bool
  private var clusters: [Int: Cluster] = [:]
  private var clusterOf: [Int: Int] = [:]

  init(_ compared: ComparedPictures, _ matches: PictureMatches, isForbidden: @escaping (Int, Int) -> Bool) {
    self.compared = compared
    self.matches = matches
    self.isForbidden = isForbidden
  }

  mutating func run() -> [NumberedGroup] {
    for (pair, _) in matches.matching { join(Int(pair.low), Int(pair.high)) }
    return clusters.values.filter { $0.members.count > 1 }.sorted { $0.members[0] < $1.members[0] }.map {
      NumberedGroup(
        kind: .edited, members: $0.members, worstPair: $0.worst, middle: $0.middle, alignments: $0.alignments)
    }
  }

  private mutating func join(_ a: Int, _ b: Int) {
    let (first, second) = (cluster(of: a), cluster(of: b))
    guard first.members[0] != second.members[0] else { return }
    for x in first.members {
      for y in second.members where isForbidden(x, y) { return }
    }
    let members = (first.members + second.members).sorted()
    var middles: [Int] = []
    for middle in [first.middle, second.middle, a, b] where !middles.contains(middle) { middles.append(middle) }
    var found: Cluster?
    for middle in middles where found == nil { found = around(middle, members) }
    guard let joined = found else { return }
    clusters[clusterOf[a] ?? a] = nil
    clusters[clusterOf[b] ?? b] = nil
    clusters[members[0]] = joined
    for member in members { clusterOf[member] = members[0] }
  }

  private mutating func cluster(of number: Int) -> Cluster {
    if let key = clusterOf[number], let cluster = clusters[key] { return cluster }
    return Cluster(
      middle: number, members: [number], views: [:], alignments: [:], worst: (number, number, 1))
  }

  /// The group around one of its members; nil where another does not match it, or two do not agree over it.
  private mutating func around(_ middle: Int, _ members: [Int]) -> Cluster? {
    var alignments: [Int: PictureAlignment] = [:]
    for member in members where member != middle {
      guard let alignment = matches.alignment(middle, member) else { return nil }
      alignments[member] = alignment
    }
    let views = Dictionary(uniqueKeysWithValues: members.map { ($0, view(of: $0, alignments[$0])) })
    var worst = (first: members[0], second: members[1], similarity: 2.0)
    for (i, x) in members.enumerated() {
      for y in members[(i + 1)...] {
        var similarity = 1.0
        if let alignment = alignments[x == middle ? y : x], x == middle || y == middle {
          similarity = alignment.similarity
        } else if let a = views[x], let b = views[y], let correlation = Self.correlation(a, b) {
          guard correlation >= Self.agreement else { return nil }
          similarity = correlation
        }
        if similarity < worst.similarity { worst = (x, y, similarity) }
      }
    }
    return Cluster(middle: middle, members: members, views: views, alignments: alignments, worst: worst)
  }

  private func view(of number: Int, _ alignment: PictureAlignment?) -> [Float?] {
    guard let small = compared.pictures[number].small else { return [] }
    return (0..<Self.grid * Self.grid).map { (i: Int) -> Float? in
      let x = (Double(i % Self.grid) + 0.5) / Double(Self.grid)
      let y = (Double(i / Self.grid) + 0.5) / Double(Self.grid)
      let point = alignment?.map(x, y) ?? (x: x, y: y)
      return small.value(point.x, point.y)
    }
  }

  /// nil where the two have too little in common.
  private static func correlation(_ a: [Float?], _ b: [Float?]) -> Double? {
    var (n, sa, sb, saa, sbb, sab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for (a, b) in zip(a, b) {
      guard let a, let b else { continue }
      let (x, y) = (Double(a), Double(b))
      n += 1
      sa += x
      sb += y
      saa += x * x
      sbb += y * y
      sab += x * y
    }
    guard n >= Double(grid * grid) / 10 else { return nil }
    let (va, vb) = (saa - sa * sa / n, sbb - sb * sb / n)
    // Of one colour, or nearly: sky, say.
    guard va > 25 * n, vb > 25 * n else { return nil }
    return (sab - sa * sb / n) / (va * vb).squareRoot()
  }
}

/// The groups of files with the same bytes, and of pictures that show the same photograph.
func copyGroups(
  _ compared: ComparedPictures, _ matches: PictureMatches, _ verdicts: DuplicateVerdicts, _ kinds: Set<DuplicateKind>
) -> [NumberedGroup] {
  let isForbidden = { (a: Int, b: Int) in verdicts.areDifferent(compared.pictures[a].id, compared.pictures[b].id) }
  // Copies that the user holds apart are in groups of their own.
  var groups: [NumberedGroup] = []
  var copiesOf: [Int: [Int]] = [:]
  for copies in compared.copies {
    var parts: [[Int]] = []
    for number in copies {
      if let part = parts.firstIndex(where: { $0.allSatisfy { !isForbidden($0, number) } }) {
        parts[part].append(number)
      } else {
        parts.append([number])
      }
    }
    copiesOf[copies[0]] = parts[0]
    for part in parts.dropFirst() where part.count > 1 {
      groups.append(
        NumberedGroup(kind: .exact, members: part, worstPair: (part[0], part[1], 1), middle: part[0]))
    }
  }
  if kinds.contains(.edited) {
    var grouping = CopyGrouping(compared, matches) { a, b in
      for x in copiesOf[a] ?? [a] { for y in copiesOf[b] ?? [b] where isForbidden(x, y) { return true } }
      return false
    }
    for var group in grouping.run() {
      group.members = group.members.flatMap { copiesOf.removeValue(forKey: $0) ?? [$0] }.sorted()
      groups.append(group)
    }
  }
  for part in copiesOf.values where part.count > 1 {
    groups.append(NumberedGroup(kind: .exact, members: part, worstPair: (part[0], part[1], 1), middle: part[0]))
  }
  return groups.sorted { $0.members[0] < $1.members[0] }
}
