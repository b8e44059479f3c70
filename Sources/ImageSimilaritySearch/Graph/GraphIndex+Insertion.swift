import ImageSimilarityCore

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

extension GraphIndex {
  private typealias Node = GraphNodes.Node

  /// A batch is at most a 32nd of what is there, so that what its vectors do not see, each other, is little.
  private static let batchShare = 32
  private static let largestBatch = 2048

  /// Adds rows, in batches: the links of a batch are chosen in the graph as it was before, each by itself, hence on any number of
  /// threads, and then set in a fixed order.
  func insert(_ vectors: EmbeddingMatrix, rows: [Int], ids: [String], added: inout Int) {
    var next = 0
    var replaced: [GraphNodes.Node] = []
    lock.write { nodes.reserve(rows.count) }
    while next < rows.count {
      let size = max(1, min(nodes.count / Self.batchShare, Self.largestBatch, rows.count - next))
      let batch = rows[next..<next + size]
      let new = lock.write { allocate(batch, vectors, added: &added) }
      let links = walks.map(new.count, threads: threads) { i, walk in self.chooseLinks(new[i], walk) }
      let reverse = chooseReverseLinks(new, links)
      lock.write {
        for (node, levels) in zip(new, links) {
          for (level, chosen) in levels.enumerated() { nodes.setLinks(of: node, level: level, to: chosen) }
        }
        for target in reverse { nodes.setLinks(of: target.node, level: target.level, to: target.links) }
        for (node, row) in zip(new, batch) {
          if let old = nodes.name(node, ids[row]) { replaced.append(old) }
          if nodes.entry == nil || nodes.levels[Int(node)] > nodes.topLevel { nodes.entry = node }
        }
      }
      next += size
    }
    unlink(replaced)
    // Pruning can leave nodes without a link to them; to look for these is a pass over all links.
    if rows.count * 64 >= nodes.count { relinkOrphans() }
  }

  private func allocate(_ batch: ArraySlice<Int>, _ vectors: EmbeddingMatrix, added: inout Int) -> [Node] {
    let new = batch.map { _ in
      let level = level(ofVector: added)
      added += 1
      return nodes.allocate(level: level)
    }
    let first = batch.startIndex
    _ = walks.map(new.count, threads: threads) { i, _ in
      vectors.withElements { elements in
        let row = batch[first + i]
        self.nodes.store(elements.extracting(row * self.dimension..<(row + 1) * self.dimension), in: new[i])
      }
    }
    return new
  }

  /// Geometrically distributed: a level above 0 has a share of 1 / m of the one below.
  private func level(ofVector number: Int) -> Int {
    // SplitMix64 (Steele, Lea, Flood 2014)
    var z = parameters.seed &+ UInt64(number + 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    let uniform = (Double(z >> 11) + 0.5) * 0x1p-53
    return min(30, Int(-log(uniform) / log(Double(parameters.m))))
  }

  /// A node's links on each of its levels, from 0.
  private func chooseLinks(_ node: Node, _ walk: Walk) -> [[Node]] {
    (0...Int(nodes.levels[Int(node)])).map { level in
      guard nodes.entry != nil, level <= nodes.topLevel else { return [] }
      // What was replaced or removed is still walked through, until it is unlinked, but not linked to.
      let near = walk.search(nodes, from: node, level: level, ef: parameters.efConstruction)
        .filter { $0.node != node && nodes.isLive($0.node) }
      return walk.select(nodes, near, most: parameters.m)
    }
  }

  struct Target: Sendable {
    var node: GraphNodes.Node
    var level: Int
    /// New links to it, and then all its links.
    var links: [GraphNodes.Node]
  }

  /// For each node that new ones are linked to, its links with those back to them; the best of them where there are too many.
  private func chooseReverseLinks(_ new: [Node], _ links: [[[Node]]]) -> [Target] {
    var pairs: [(key: UInt64, source: Node)] = []
    for (node, levels) in zip(new, links) {
      for (level, chosen) in levels.enumerated() {
        for target in chosen { pairs.append((UInt64(level) << 32 | UInt64(target), node)) }
      }
    }
    pairs.sort { ($0.key, $0.source) < ($1.key, $1.source) }
    var targets: [Target] = []
    for pair in pairs {
      let node = Node(truncatingIfNeeded: pair.key)
      let level = Int(pair.key >> 32)
      if let last = targets.last, last.node == node, last.level == level {
        targets[targets.count - 1].links.append(pair.source)
      } else {
        targets.append(Target(node: node, level: level, links: [pair.source]))
      }
    }
    let found = targets
    return walks.map(found.count, threads: threads) { i, walk in
      var target = found[i]
      target.links = self.best(self.nodes.links(of: target.node, level: target.level) + target.links, for: target, walk)
      return target
    }
  }

  /// All candidates, or where these are too many, the best.
  func best(_ candidates: [GraphNodes.Node], for target: Target, _ walk: Walk) -> [GraphNodes.Node] {
    let most = nodes.maximumLinks(level: target.level)
    if candidates.count <= most { return candidates }
    let near = walk.distances(nodes, from: target.node, to: candidates).sorted()
    return walk.select(nodes, near, most: most)
  }
}
