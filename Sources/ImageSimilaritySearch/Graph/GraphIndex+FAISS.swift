public import ImageSimilarityCore
import Synchronization

extension GraphIndex {
  /// The vectors and the graph: what FAISS opens as `IndexHNSWFlat`.
  ///
  /// With ``Storage/int8`` the vectors are those that their codes stand for.
  ///
  /// - Returns: the file, and the id of each of its rows.
  /// - Complexity: O(`count * dimension`) time and memory.
  public func faissFile() -> (file: FAISSFile, ids: [String]) {
    lock.read {
      let live = nodes.liveNodes
      var rows: [GraphNodes.Node: Int32] = [:]
      for (row, node) in live.enumerated() { rows[node] = Int32(row) }
      var topology = HNSWTopology(
        m: parameters.m, efConstruction: parameters.efConstruction, ef: parameters.ef,
        entryPoint: nodes.entry.flatMap { rows[$0] }.map(Int.init) ?? -1, levels: [], links: [])
      var values: [Float] = []
      values.reserveCapacity(live.count * dimension)
      for node in live {
        let level = nodes.levels[Int(node)]
        topology.levels.append(level)
        for l in 0...Int(level) {
          let links = nodes.links(of: node, level: l).compactMap { rows[$0] }
          topology.links += links + [Int32](repeating: -1, count: nodes.maximumLinks(level: l) - links.count)
        }
        values += nodes.vector(node)
      }
      let matrix = EmbeddingMatrix(rows: live.count, dimension: dimension, values: values)
      let file = FAISSFile(metric: metric, vectors: matrix, labels: nil, graph: topology)
      return (file, live.compactMap(nodes.id))
    }
  }

  /// An index of a file's vectors, with its graph where it has one; otherwise a graph is built.
  ///
  /// - Parameters:
  ///   - ids: one a row; the file's labels, or else the rows' numbers, where nil.
  ///   - parameters: those of the graph that is built, and what is not in the file.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/notFinite``;
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where ids repeat or do not fit the rows, or the graph has more
  ///   than 512 or fewer than 2 links a row.
  public convenience init(
    _ file: FAISSFile, ids: [String]? = nil, parameters: Parameters = Parameters(), storage: Storage = .fp32,
    threads: Int = 1
  ) throws(SimilarityError) {
    let ids = ids ?? file.labels?.map(String.init) ?? (0..<file.vectors.rows).map(String.init)
    guard ids.count == file.vectors.rows, Set(ids).count == ids.count else {
      throw SimilarityError(
        .invalidArgument,
        "each of the \(file.vectors.rows) vectors needs an id of its own: found \(Set(ids).count) different ids")
    }
    var parameters = parameters
    if let graph = file.graph {
      guard (2...512).contains(graph.m) else {
        throw SimilarityError(.invalidArgument, "a graph has 2 to 512 links a vector; found \(graph.m)")
      }
      parameters.m = graph.m
    }
    self.init(
      dimension: file.vectors.dimension, metric: file.metric, parameters: parameters, storage: storage,
      threads: threads)
    guard let graph = file.graph else {
      try upsert(file.vectors, ids: ids)
      return
    }
    try requireFinite(file.vectors, what: "the vector to store") { "\($0) (id \"\(ids[$0])\")" }
    writer.withLock { added in
      lock.write { nodes.fill(file.vectors, ids: ids, graph) }
      added = ids.count
    }
  }
}

extension GraphNodes {
  /// Stores vectors in an empty graph, with the links of another one, which were checked.
  fileprivate func fill(_ vectors: EmbeddingMatrix, ids: [String], _ graph: HNSWTopology) {
    precondition(slots == 0 && graph.levels.count == ids.count, "a graph is filled once, with a level a vector")
    reserve(ids.count)
    let all = graph.levels.map { allocate(level: Int($0)) }
    var place = 0
    vectors.withElements { elements in
      for (row, node) in all.enumerated() {
        store(elements.extracting(row * dimension..<(row + 1) * dimension), in: node)
        for level in 0...Int(graph.levels[row]) {
          let slots = graph.links[place..<place + maximumLinks(level: level)]
          setLinks(of: node, level: level, to: slots.prefix { $0 >= 0 }.map { Node($0) })
          place += slots.count
        }
        _ = name(node, ids[row])
      }
    }
    entry = graph.entryPoint < 0 ? nil : Node(graph.entryPoint)
  }
}
