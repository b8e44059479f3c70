/// Where the relevant rows are in the ranking that one query gives.
struct RankedQuery {
  /// The ranks of the relevant rows, ascending, 1 being the first.
  var ranks: [Int]
  /// The rows that are not relevant and have one of the first `min(10, R)` ranks, the nearest first.
  var mistaken: [Int]
}

/// What is known about the ranking of a query while rows are compared with it.
///
/// Ranks follow from counting, for each row that is not relevant, the relevant rows before it; nothing but these is sorted.
struct UnfinishedRanking {
  /// The first ranks, in which rows that are not relevant are remembered.
  static let firstRanks = 10

  let row: Int
  /// The relevant rows by their distances, at equal distance the lower row first, and their distances.
  let relevant: [UInt32]
  let distances: [Float]
  /// `others[i]`: rows that are not relevant and have i relevant rows before them.
  var others: [Int]
  /// Of the rows that are not relevant and have fewer than `nearestCount` relevant rows before them, the nearest.
  private var nearest: [(distance: Float, row: UInt32, position: Int)] = []
  let nearestCount: Int

  /// - Parameter distances: those of `relevant`, which is not empty.
  init(row: Int, relevant: [UInt32], distances: [Float]) {
    let order = relevant.indices.sorted { (distances[$0], relevant[$0]) < (distances[$1], relevant[$1]) }
    self.row = row
    self.relevant = order.map { relevant[$0] }
    self.distances = order.map { distances[$0] }
    others = [Int](repeating: 0, count: relevant.count + 1)
    nearestCount = min(Self.firstRanks, relevant.count)
  }

  /// Rows beyond this distance are not among the nearest any more.
  var reach: Float { nearest.count < nearestCount ? .infinity : nearest[nearestCount - 1].distance }

  /// Counts those of the rows `rows` whose bounds say for certain between which relevant rows they are, and that they are not
  /// among the nearest; appends the others to `pending`.
  ///
  /// Relevant rows are always among these, because their distances are within their bounds.
  ///
  /// - Parameters:
  ///   - lower: bounds of the distances of the rows, at least one a row; NaN where nothing is known.
  ///   - own: the place of the query itself in `rows`.
  mutating func countDecided(
    _ lower: [Float], _ upper: [Float], rows: Range<Int>, except own: Int?, pending: inout [UInt32]
  ) {
    let (distances, nearestCount, reach, own) = (distances, nearestCount, reach, own ?? -1)
    let (relevant, lower, upper) = (distances.span, lower.span, upper.span)
    var others = others.mutableSpan
    for i in 0..<rows.count {
      let position = lowerBound(relevant, lower[i])
      // NaN is before nothing.
      let isDecided = position == relevant.count || upper[i] < relevant[position]
      if isDecided, position >= nearestCount || lower[i] > reach, i != own {
        others[position] += 1
      } else {
        pending.append(UInt32(rows.lowerBound + i))
      }
    }
  }

  /// Counts a row that is not relevant.
  mutating func add(_ row: UInt32, distance: Float) {
    var position = lowerBound(distances.span, distance)
    while position < relevant.count, distances[position] == distance, relevant[position] < row { position += 1 }
    others[position] += 1
    guard position < nearestCount, distance <= reach else { return }
    let place = nearest.firstIndex { (distance, row) < ($0.distance, $0.row) } ?? nearest.count
    nearest.insert((distance, row, position), at: place)
    if nearest.count > nearestCount { nearest.removeLast() }
  }

  func finish() -> RankedQuery {
    var before = 0
    let ranks = relevant.indices.map { i in
      before += others[i]
      return before + i + 1
    }
    let mistaken = nearest.enumerated().filter { $0.offset + $0.element.position < nearestCount }
    return RankedQuery(ranks: ranks, mistaken: mistaken.map { Int($0.element.row) })
  }
}

/// The first index whose value is not below `value`, in a non-empty array. Half of the comparisons go either way, so none
/// of them decides a jump.
@inline(__always)
func lowerBound(_ sorted: Span<Float>, _ value: Float) -> Int {
  var first = 0
  var count = sorted.count
  while count > 1 {
    let half = count / 2
    first += sorted[first + half - 1] < value ? half : 0
    count -= half
  }
  return first + (sorted[first] < value ? 1 : 0)
}
