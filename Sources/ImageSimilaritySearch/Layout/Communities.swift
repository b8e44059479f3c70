/// Groups of vertices with many links among them and few to others, by the method of Louvain: vertices move to the group of a
/// neighbour while that raises the modularity, then groups become vertices, and so on (Blondel, Guillaume, Lambiotte, Lefebvre,
/// Fast unfolding of communities in large networks, 2008). Vertices take turns in their order, so the result is always the same.
package enum Communities {
  /// Neighbours and the weights of their links.
  private typealias Network = [[(vertex: Int, weight: Double)]]

  /// - Parameter resolution: above 1 for more groups, below 1 for fewer (Reichardt and Bornholdt, 2006).
  /// - Returns: the number of each vertex's group: 0 for the largest, and at equal size for that of the lower vertex.
  /// - Complexity: about O(`links`)
  package static func find(in links: NeighborLinks, resolution: Double = 1) -> [Int] {
    var network: Network = (0..<links.count).map { vertex in
      links.neighbors(of: vertex).map { (Int(links.targets[$0]), 1) }
    }
    var groups = Array(0..<links.count)
    while true {
      let (found, count) = move(network, resolution)
      groups = groups.map { found[$0] }
      guard count < network.count else { break }
      network = merged(network, found, count)
    }
    return bySize(groups)
  }

  /// The groups of vertices, numbered from 0, and how many there are.
  private static func move(_ network: Network, _ resolution: Double) -> (groups: [Int], count: Int) {
    let degrees = network.map { $0.reduce(0) { $0 + $1.weight } }
    let total = max(degrees.reduce(0, +), 1)
    var groups = Array(network.indices)
    var sums = degrees
    // The weight of the links from a vertex to each group; 0 but for those in `near`.
    var weights = [Double](repeating: 0, count: network.count)
    var near: [Int] = []
    // It ends by itself, but for rounding.
    for _ in 0..<100 {
      var moves = 0
      for vertex in network.indices {
        for (other, weight) in network[vertex] where other != vertex {
          if weights[groups[other]] == 0 { near.append(groups[other]) }
          weights[groups[other]] += weight
        }
        let own = groups[vertex]
        sums[own] -= degrees[vertex]
        let gain = { (group: Int) in weights[group] - resolution * sums[group] * degrees[vertex] / total }
        var (best, bestGain) = (own, gain(own) + 1e-9)
        for group in near where gain(group) > bestGain { (best, bestGain) = (group, gain(group)) }
        sums[best] += degrees[vertex]
        if best != own {
          groups[vertex] = best
          moves += 1
        }
        for group in near { weights[group] = 0 }
        near.removeAll(keepingCapacity: true)
      }
      if moves == 0 { break }
    }
    var numbers = [Int](repeating: -1, count: network.count)
    var count = 0
    let numbered = groups.map { group in
      if numbers[group] < 0 {
        numbers[group] = count
        count += 1
      }
      return numbers[group]
    }
    return (numbered, count)
  }

  /// The network whose vertices are the groups.
  private static func merged(_ network: Network, _ groups: [Int], _ count: Int) -> Network {
    var links = [[Int: Double]](repeating: [:], count: count)
    for (vertex, neighbors) in network.enumerated() {
      for (other, weight) in neighbors { links[groups[vertex]][groups[other], default: 0] += weight }
    }
    // A dictionary's order changes from run to run.
    return links.map { $0.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  }

  private static func bySize(_ groups: [Int]) -> [Int] {
    var sizes: [Int: Int] = [:]
    var first: [Int: Int] = [:]
    for (vertex, group) in groups.enumerated() {
      sizes[group, default: 0] += 1
      if first[group] == nil { first[group] = vertex }
    }
    let order = sizes.keys.sorted { (-(sizes[$0] ?? 0), first[$0] ?? 0) < (-(sizes[$1] ?? 0), first[$1] ?? 0) }
    let numbers = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    return groups.map { numbers[$0] ?? 0 }
  }
}
