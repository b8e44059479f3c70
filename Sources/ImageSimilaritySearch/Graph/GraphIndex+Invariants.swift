extension GraphIndex {
  /// What is wrong with the graph, in sentences; empty where all is well. For tests.
  ///
  /// - Complexity: O(`count * m`)
  package func problems() -> [String] {
    lock.read {
      var found: [String] = []
      let live = nodes.liveNodes
      if live.count != nodes.count { found.append("\(nodes.count) ids for \(live.count) nodes") }
      if live.count + nodes.free.count != nodes.slots {
        found.append("\(live.count) nodes and \(nodes.free.count) free slots of \(nodes.slots)")
      }
      for node in live {
        if nodes.id(node).map({ nodes.locations[$0] }) != node { found.append("node \(node) is not where its id says") }
        for level in 0...Int(nodes.levels[Int(node)]) {
          let links = nodes.links(of: node, level: level)
          if Set(links).count != links.count { found.append("node \(node) has a link twice on level \(level)") }
          for link in links where link == node || !nodes.isLive(link) || Int(nodes.levels[Int(link)]) < level {
            found.append("node \(node) has a link to \(link) on level \(level)")
          }
        }
      }
      if let entry = nodes.entry {
        if !nodes.isLive(entry) { found.append("the entry \(entry) is gone") }
        if live.contains(where: { nodes.levels[Int($0)] > nodes.levels[Int(entry)] }) {
          found.append("the entry \(entry) is not on the top level")
        }
      } else if !live.isEmpty {
        found.append("there is no entry")
      }
      let lost = unreachable()
      if !lost.isEmpty { found.append("\(lost.count) nodes cannot be reached") }
      return found
    }
  }

  /// All links, level by level, by node: equal graphs give equal values.
  package var fingerprint: [[[UInt32]]] {
    lock.read {
      nodes.liveNodes.map { node in
        (0...Int(nodes.levels[Int(node)])).map { nodes.links(of: node, level: $0) }
      }
    }
  }
}
