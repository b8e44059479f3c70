import ImageSimilarityCore

/// Which rows have which labels.
struct LabelledRows: Sendable, Equatable {
  /// All labels, ascending: a class is a place here.
  let names: [String]
  /// The classes of each row, ascending, each once: those of row i are `classes[starts[i]..<starts[i + 1]]`.
  private let classes: [Int32]
  private let starts: [Int]
  /// The rows of each class, ascending.
  let members: [[UInt32]]

  init(_ labels: [[String]]) {
    var numbers: [String: Int32] = [:]
    for row in labels {
      for label in row where numbers[label] == nil { numbers[label] = 0 }
    }
    names = numbers.keys.sorted()
    for (number, name) in names.enumerated() { numbers[name] = Int32(number) }
    var classes: [Int32] = []
    var starts = [0]
    var members = [[UInt32]](repeating: [], count: names.count)
    for (row, labels) in labels.enumerated() {
      let own = Set(labels.compactMap { numbers[$0] }).sorted()
      classes += own
      starts.append(classes.count)
      for one in own { members[Int(one)].append(UInt32(row)) }
    }
    self.classes = classes
    self.starts = starts
    self.members = members
  }

  var rows: Int { starts.count - 1 }

  func classes(of row: Int) -> ArraySlice<Int32> { classes[starts[row]..<starts[row + 1]] }

  /// The other rows that have a label of `row`, ascending.
  func relevant(to row: Int) -> [UInt32] {
    let own = classes(of: row)
    guard own.count > 1 else {
      return own.first.map { members[Int($0)].filter { $0 != UInt32(row) } } ?? []
    }
    return Set(own.flatMap { members[Int($0)] }).subtracting([UInt32(row)]).sorted()
  }
}
