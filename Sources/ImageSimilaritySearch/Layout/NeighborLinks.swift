/// An undirected graph without loops, of which neighbours are stored one after the other: those of vertex `i` at
/// `starts[i]..<starts[i + 1]`, ascending.
package struct NeighborLinks: Sendable {
  package let starts: [Int]
  package let targets: [Int32]

  package var count: Int { starts.count - 1 }

  package func neighbors(of vertex: Int) -> Range<Int> { starts[vertex]..<starts[vertex + 1] }

  /// Links two vertices where one is among the nearest of the other.
  ///
  /// - Precondition: the elements of `nearest` are numbers of its elements.
  /// - Complexity: O(`links * log(links of a vertex)`)
  package init(nearest: [[Int32]]) {
    let range = 0..<nearest.count
    var degrees = [Int](repeating: 0, count: nearest.count)
    for (vertex, others) in nearest.enumerated() {
      for other in others where Int(other) != vertex {
        precondition(range.contains(Int(other)), "vertex \(other) of a graph of \(nearest.count)")
        degrees[vertex] += 1
        degrees[Int(other)] += 1
      }
    }
    var ends: [Int] = []
    ends.reserveCapacity(nearest.count)
    var total = 0
    for degree in degrees {
      ends.append(total)
      total += degree
    }
    let begins = ends
    var both = [Int32](repeating: 0, count: total)
    for (vertex, others) in nearest.enumerated() {
      for other in others where Int(other) != vertex {
        both[ends[vertex]] = other
        both[ends[Int(other)]] = Int32(vertex)
        ends[vertex] += 1
        ends[Int(other)] += 1
      }
    }
    // A link that was seen from both sides is there twice.
    var starts = [0]
    starts.reserveCapacity(nearest.count + 1)
    var targets: [Int32] = []
    targets.reserveCapacity(total)
    for vertex in range {
      var last: Int32 = -1
      for target in both[begins[vertex]..<ends[vertex]].sorted() where target != last {
        targets.append(target)
        last = target
      }
      starts.append(targets.count)
    }
    self.starts = starts
    self.targets = targets
  }
}
