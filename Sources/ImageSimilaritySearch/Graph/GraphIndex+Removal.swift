import ImageSimilarityCore

extension GraphIndex {
  private typealias Node = GraphNodes.Node

  /// Takes nodes that cannot be found any more out of the graph: what was linked to them is linked to their neighbours instead.
  func unlink(_ gone: [GraphNodes.Node]) {
    if gone.isEmpty { return }
    var isGone = [Bool](repeating: false, count: nodes.slots)
    for node in gone { isGone[Int(node)] = true }
    for level in 0...nodes.topLevel { bypass(isGone, level: level) }
    lock.write {
      if let entry = nodes.entry, isGone[Int(entry)] {
        nodes.entry = nodes.liveNodes.max { a, b in
          (nodes.levels[Int(a)], b) < (nodes.levels[Int(b)], a)
        }
      }
    }
    relinkOrphans()
    lock.write { nodes.release(gone) }
    compactIfNeeded()
  }

  private func bypass(_ isGone: [Bool], level: Int) {
    let nodes = self.nodes
    let touched = (0..<GraphNodes.Node(nodes.slots)).filter { node in
      !isGone[Int(node)] && nodes.isLive(node) && level <= Int(nodes.levels[Int(node)])
        && nodes.hasLink(from: node, level: level) { isGone[Int($0)] }
    }
    let targets = walks.map(touched.count, threads: threads) { i, walk in
      let target = Target(node: touched[i], level: level, links: [])
      return Target(
        node: target.node, level: level,
        links: self.best(self.bypassing(isGone, target.node, level: level), for: target, walk))
    }
    lock.write {
      for target in targets { nodes.setLinks(of: target.node, level: level, to: target.links) }
    }
  }

  /// A node's neighbours that stay, and those that it reaches through neighbours that go.
  private func bypassing(_ isGone: [Bool], _ node: Node, level: Int) -> [Node] {
    var seen: Set<Node> = [node]
    var found: [Node] = []
    var open = [node]
    // Chains of what goes are followed as long as there is too little that stays.
    while !open.isEmpty {
      var next: [Node] = []
      for link in open.flatMap({ nodes.links(of: $0, level: level) }) where seen.insert(link).inserted {
        if isGone[Int(link)] { next.append(link) } else if nodes.isLive(link) { found.append(link) }
      }
      open = found.count < nodes.maximumLinks(level: level) || open == [node] ? next : []
    }
    return found
  }

  /// Makes every node reachable on level 0 again.
  func relinkOrphans() {
    for _ in 0..<8 {
      // Those that were linked last have room, which the nodes around a crowd of copies have not.
      var recent: [Node] = []
      let lost = unreachable()
      if lost.isEmpty { return }
      for node in lost {
        walks.with { walk in
          let around = walk.search(nodes, from: node, level: 0, ef: parameters.efConstruction)
          let near = (around + walk.distances(nodes, from: node, to: recent)).sorted()
            .filter { $0.node != node && nodes.isLive($0.node) }
          guard let nearest = near.first?.node else { return }
          let most = nodes.maximumLinks(level: 0)
          let host = near.first { nodes.links(of: $0.node, level: 0).count < most }?.node ?? nearest
          lock.write {
            nodes.setLinks(of: host, level: 0, to: nodes.links(of: host, level: 0).prefix(most - 1) + [node])
          }
        }
        recent = recent.suffix(7) + [node]
      }
    }
  }

  /// The nodes that no chain of links leads to from the entry on level 0.
  func unreachable() -> [GraphNodes.Node] {
    guard let entry = nodes.entry else { return [] }
    var isReached = [Bool](repeating: false, count: nodes.slots)
    isReached[Int(entry)] = true
    var open = [entry]
    while let node = open.popLast() {
      nodes.forEachLink(from: node) { link in
        if isReached[Int(link)] { return }
        isReached[Int(link)] = true
        open.append(link)
      }
    }
    return nodes.liveNodes.filter { !isReached[Int($0)] }
  }

  /// Moves all nodes together where most slots are free.
  private func compactIfNeeded() {
    guard nodes.free.count * 2 > nodes.slots, nodes.slots > 64 else { return }
    lock.write { nodes.compact() }
  }
}
