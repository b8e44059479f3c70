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
  private let positions: SortedPositions

  /// - Parameter distances: those of `relevant`, which is not empty.
  init(row: Int, relevant: [UInt32], distances: [Float]) {
    let order = relevant.indices.sorted { (distances[$0], relevant[$0]) < (distances[$1], relevant[$1]) }
    self.row = row
    self.relevant = order.map { relevant[$0] }
    let sorted = order.map { distances[$0] }
    self.distances = sorted
    positions = SortedPositions(sorted)
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
    let (distances, positions, nearestCount, reach, own) = (distances, positions, nearestCount, reach, own ?? -1)
    let (relevant, lower, upper) = (distances.span, lower.span, upper.span)
    var others = others.mutableSpan
    for i in 0..<rows.count {
      let position = positions.lowerBound(relevant, lower[i])
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
    var position = positions.lowerBound(distances.span, distance)
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

/// Finds places in a sorted array: in a table of equal steps between its first and its last value, and then among the few values
/// of one step.
private struct SortedPositions {
  private static let stepsPerValue = 2

  private let first: Float
  private let last: Float
  private let scale: Float
  /// The values of step i are those from `starts[i]` up to `starts[i + 1]`.
  private let starts: [UInt32]

  /// - Parameter sorted: not empty.
  init(_ sorted: [Float]) {
    first = sorted[0]
    last = sorted[sorted.count - 1]
    let count = sorted.count * Self.stepsPerValue
    let scale = Float(count) / (last - first)
    self.scale = scale.isFinite ? scale : 0
    var starts = [UInt32](repeating: 0, count: count + 1)
    var step = 0
    for (i, value) in sorted.enumerated() {
      let own = Self.step(value, first: first, scale: self.scale, count: count)
      while step < own {
        step += 1
        starts[step] = UInt32(i)
      }
    }
    while step < count {
      step += 1
      starts[step] = UInt32(sorted.count)
    }
    self.starts = starts
  }

  /// Never falls from one value to a greater one.
  @inline(__always)
  private static func step(_ value: Float, first: Float, scale: Float, count: Int) -> Int {
    min(Int((value - first) * scale), count - 1)
  }

  /// The first index whose value is not below `value`; 0 where that is NaN.
  ///
  /// - Complexity: O(log(values)), and O(1) where they are spread evenly.
  @inline(__always)
  func lowerBound(_ sorted: Span<Float>, _ value: Float) -> Int {
    if !(value > first) { return 0 }
    if value > last { return sorted.count }
    let step = Self.step(value, first: first, scale: scale, count: starts.count - 1)
    var index = Int(starts[step])
    var count = Int(starts[step + 1]) - index
    while count > 0 {
      let half = count / 2
      if sorted[index + half] < value {
        index += half + 1
        count -= half + 1
      } else {
        count = half
      }
    }
    return index
  }
}
