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
    relinkOrphans(isGone)
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
  private func relinkOrphans(_ isGone: [Bool]) {
    for _ in 0..<8 {
      let lost = unreachable().filter { !isGone[Int($0)] }
      if lost.isEmpty { return }
      // One after the other: a node that is linked again may lead to others.
      for node in lost {
        let near = walks.with { walk in
          walk.search(nodes, from: node, level: 0, ef: parameters.efConstruction)
            .filter { $0.node != node && nodes.isLive($0.node) && !isGone[Int($0.node)] }
        }
        guard let nearest = near.first?.node else { continue }
        let own = walks.with { walk in
          best(
            Array(Set(nodes.links(of: node, level: 0) + near.prefix(parameters.m).map(\.node))).sorted(),
            for: Target(node: node, level: 0, links: []), walk)
        }
        // Where there is room, a link more; else in place of the last, the farthest of the nearest.
        let host = near.prefix(parameters.m).first { nodes.links(of: $0.node, level: 0).count < 2 * parameters.m }
        var links = nodes.links(of: host?.node ?? nearest, level: 0)
        if host == nil { links.removeLast() }
        lock.write {
          nodes.setLinks(of: node, level: 0, to: own)
          nodes.setLinks(of: host?.node ?? nearest, level: 0, to: links + [node])
        }
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
