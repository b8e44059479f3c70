import CSimilarityKernels
import ImageSimilarityCore

/// The nodes of a graph: codes, links, and what is kept of the vectors. Node numbers are slots: a removed node's slot is used again.
///
/// `@unchecked Sendable`: ``GraphIndex`` lets nobody read while somebody writes.
@safe final class GraphNodes: @unchecked Sendable {
  typealias Node = UInt32

  let dimension: Int
  let metric: Metric
  let storage: GraphIndex.Storage
  let m: Int
  let codeBytes: Int
  let stride: Int

  /// Slots that are or were in use.
  fileprivate(set) var slots = 0
  fileprivate(set) var free: [Node] = []
  /// One a slot; nil where it is free, or is not to be found any more.
  fileprivate(set) var ids: [String?] = []
  fileprivate(set) var locations: [String: Node] = [:]
  fileprivate(set) var levels: [UInt8] = []
  /// Where walks begin, on ``topLevel``; nil where there are no nodes.
  var entry: Node?
  var topLevel: Int { entry.map { Int(levels[Int($0)]) } ?? 0 }

  fileprivate var records = GrowingMemory<UInt8>()
  fileprivate var links = GrowingMemory<Int32>()
  fileprivate var upper = GrowingMemory<Int32>()
  fileprivate var upperStarts = GrowingMemory<Int32>()
  fileprivate var upperUsed = 0
  /// Places in `upper` that nodes of so many levels have left.
  fileprivate var freeUpper: [Int: [Int32]] = [:]
  fileprivate var floats = GrowingMemory<Float>()
  fileprivate var halves = GrowingMemory<UInt16>()
  fileprivate var squaredNorms = GrowingMemory<Double>()
  /// Slots there is memory for.
  private(set) var capacity = 0

  init(dimension: Int, metric: Metric, storage: GraphIndex.Storage, m: Int) {
    self.dimension = dimension
    self.metric = metric
    self.storage = storage
    self.m = m
    codeBytes = (dimension + 63) / 64 * 64
    stride = (MemoryLayout<imsim_node_header>.size + codeBytes + 63) / 64 * 64
  }

  var count: Int { locations.count }
  var liveNodes: [Node] { (0..<Node(slots)).filter(isLive) }
  func isLive(_ node: Node) -> Bool { ids[Int(node)] != nil }
  func id(_ node: Node) -> String? { ids[Int(node)] }

  /// Bytes of all that a node takes, but for its id.
  var byteCount: Int {
    records.byteCount + links.byteCount + upper.byteCount + upperStarts.byteCount + floats.byteCount
      + halves.byteCount + squaredNorms.byteCount + levels.count
  }

  // MARK: Slots

  /// Makes room for so many more nodes.
  func reserve(_ more: Int) {
    let needed = slots + max(0, more - free.count)
    guard needed > capacity else { return }
    precondition(needed < Int32.max, "a graph has less than 2^31 nodes")
    // A little more than needed where a graph grows by small steps.
    setCapacity(more >= slots / 4 ? needed : needed + slots / 4)
  }

  fileprivate func setCapacity(_ new: Int) {
    capacity = new
    records.resize(to: new * stride)
    links.resize(to: new * 2 * m)
    upperStarts.resize(to: new)
    switch storage {
    case .fp32: floats.resize(to: new * dimension)
    case .fp16: halves.resize(to: new * dimension)
    case .int8: return
    }
    squaredNorms.resize(to: new)
  }

  /// A slot of a node that has no links and cannot be found yet.
  func allocate(level: Int) -> Node {
    let node: Node
    if let old = free.popLast() {
      node = old
    } else {
      node = Node(slots)
      slots += 1
      ids.append(nil)
      levels.append(0)
      if slots > capacity { setCapacity(slots + slots / 4) }
    }
    levels[Int(node)] = UInt8(level)
    unsafe upperStarts.start[Int(node)] = level == 0 ? -1 : takeUpper(level)
    for l in 0...level { setLinks(of: node, level: l, to: []) }
    return node
  }

  fileprivate func takeUpper(_ levels: Int) -> Int32 {
    if let place = freeUpper[levels]?.popLast() { return place }
    let place = upperUsed
    upperUsed += levels * m
    precondition(upperUsed < Int32.max, "a graph's upper levels have less than 2^31 links")
    if upperUsed > upper.count { upper.resize(to: upperUsed + upperUsed / 4) }
    return Int32(place)
  }

  /// Makes a node findable under an id, in place of the one that was: the number of which is returned.
  func name(_ node: Node, _ id: String) -> Node? {
    let old = locations.updateValue(node, forKey: id)
    if let old { ids[Int(old)] = nil }
    ids[Int(node)] = id
    return old
  }

  /// Makes the node of an id unfindable, and returns it.
  func unname(_ id: String) -> Node? {
    guard let node = locations.removeValue(forKey: id) else { return nil }
    ids[Int(node)] = nil
    return node
  }

  /// Gives the slots of nodes back to which no link leads any more.
  func release(_ nodes: [Node]) {
    for node in nodes {
      precondition(!isLive(node), "a node that can be found is not released")
      let level = Int(levels[Int(node)])
      if level > 0 { unsafe freeUpper[level, default: []].append(upperStarts.start[Int(node)]) }
      levels[Int(node)] = 0
      unsafe upperStarts.start[Int(node)] = -1
      setLinks(of: node, level: 0, to: [])
    }
    // The lowest is used first.
    free = (free + nodes).sorted(by: >)
  }

  // MARK: Links

  func links(of node: Node, level: Int) -> [Node] {
    let (start, most) = unsafe linkPlace(node, level)
    var found: [Node] = []
    found.reserveCapacity(most)
    for i in 0..<most {
      let link = unsafe start[i]
      if link < 0 { break }
      found.append(Node(link))
    }
    return found
  }

  func setLinks(of node: Node, level: Int, to nodes: [Node]) {
    let (start, most) = unsafe linkPlace(node, level)
    precondition(nodes.count <= most, "a node has at most \(most) links on level \(level)")
    for i in 0..<most { unsafe start[i] = i < nodes.count ? Int32(nodes[i]) : -1 }
  }

  func maximumLinks(level: Int) -> Int { level == 0 ? 2 * m : m }

  fileprivate func linkPlace(_ node: Node, _ level: Int) -> (UnsafeMutablePointer<Int32>, Int) {
    precondition(Int(node) < slots && level <= Int(levels[Int(node)]), "node \(node) is not on level \(level)")
    if level == 0 { return unsafe (links.start + Int(node) * 2 * m, 2 * m) }
    return unsafe (upper.start + Int(upperStarts.start[Int(node)]) + (level - 1) * m, m)
  }

  // MARK: Vectors

  /// Writes what is kept of a vector.
  func store(_ vector: Span<Float>, in node: Node) {
    precondition(vector.count == dimension && Int(node) < slots, "a vector has \(dimension) elements")
    unsafe encode(vector, into: records.start + Int(node) * stride)
    unsafe vector.withUnsafeBufferPointer { vector in
      guard let from = vector.baseAddress else { return }
      let place = Int(node) * dimension
      switch storage {
      case .int8: return
      case .fp32: unsafe (floats.start + place).update(from: from, count: dimension)
      case .fp16: unsafe sim_narrow_f16(from, halves.start + place, dimension)
      }
    }
    if storage != .int8 {
      let norm = unsafe withElements(of: node) { elements in
        var norm = 0.0
        unsafe ims_search_dot(elements, elements, nil, 1, dimension, &norm)
        return norm
      }
      unsafe squaredNorms.start[Int(node)] = norm
    }
  }

  /// Writes a vector's record; with the cosine, that of the vector at length 1.
  func encode(_ vector: Span<Float>, into record: UnsafeMutablePointer<UInt8>) {
    unsafe vector.withUnsafeBufferPointer { vector in
      guard let values = vector.baseAddress else { return }
      guard metric == .cosine else {
        return unsafe imsim_graph_encode(values, dimension, metric == .euclidean ? 1 : 0, codeBytes, record)
      }
      var norm = 0.0
      unsafe ims_search_dot(values, values, nil, 1, dimension, &norm)
      let scale = norm > 0 ? 1 / norm.squareRoot() : 0
      let unit = unsafe vector.map { Float(Double($0) * scale) }
      unsafe imsim_graph_encode(unit, dimension, 0, codeBytes, record)
    }
  }

  /// Calls `body` with a node's elements; those of its code where nothing else is kept.
  func withElements<R>(of node: Node, _ body: (UnsafePointer<Float>) -> R) -> R {
    let place = Int(node) * dimension
    switch storage {
    case .fp32: return unsafe body(floats.start + place)
    case .fp16:
      return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: dimension) { wide in
        guard let to = wide.baseAddress else { preconditionFailure("a vector has elements") }
        unsafe sim_widen_f16(halves.start + place, to, dimension)
        return unsafe body(to)
      }
    case .int8:
      return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: dimension) { wide in
        guard let to = wide.baseAddress else { preconditionFailure("a vector has elements") }
        let record = unsafe UnsafeRawPointer(records.start + Int(node) * stride)
        let header = unsafe record.load(as: imsim_node_header.self)
        let codes = unsafe record + MemoryLayout<imsim_node_header>.size
        for i in 0..<dimension {
          unsafe to[i] = header.scale * Float(codes.load(fromByteOffset: i, as: Int8.self))
        }
        return unsafe body(to)
      }
    }
  }

  /// Calls `body` with the elements of all slots, in fp32.
  func withAllElements<R>(_ body: (UnsafePointer<Float>) -> R) -> R { unsafe body(floats.start) }

  func squaredNorm(_ node: Node) -> Double { unsafe squaredNorms.start[Int(node)] }

  func vector(_ node: Node) -> [Float] {
    unsafe withElements(of: node) { unsafe Array(UnsafeBufferPointer(start: $0, count: dimension)) }
  }

  func record(_ node: Node) -> UnsafePointer<UInt8> { unsafe UnsafePointer(records.start + Int(node) * stride) }

  /// The graph as the kernels take it. It is valid until a node is added.
  var view: imsim_graph {
    unsafe imsim_graph(
      records: records.start, stride: stride, code_bytes: codeBytes, is_euclidean: metric == .euclidean ? 1 : 0,
      m: m, links: links.start, upper: upper.start, upper_starts: upperStarts.start)
  }
}

extension GraphNodes {
  /// Whether a node has a link for which `condition` holds.
  func hasLink(from node: Node, level: Int, where condition: (Node) -> Bool) -> Bool {
    let (start, most) = unsafe linkPlace(node, level)
    for i in 0..<most {
      let link = unsafe start[i]
      if link < 0 { return false }
      if condition(Node(link)) { return true }
    }
    return false
  }

  /// Calls `body` with the nodes that a node is linked to on level 0.
  func forEachLink(from node: Node, _ body: (Node) -> Void) {
    let (start, most) = unsafe linkPlace(node, 0)
    for i in 0..<most {
      let link = unsafe start[i]
      if link < 0 { return }
      body(Node(link))
    }
  }

  /// Moves the nodes to the lowest slots, in their order, and gives the rest of the memory back.
  func compact() {
    let live = liveNodes
    var places: [Node: Node] = [:]
    for (place, node) in live.enumerated() { places[node] = Node(place) }
    let allLinks = live.map { node in
      (0...Int(levels[Int(node)])).map { level in links(of: node, level: level).compactMap { places[$0] } }
    }
    let newIDs = live.map { ids[Int($0)] }
    let newLevels = live.map { levels[Int($0)] }
    for (place, node) in live.enumerated() where Int(node) != place { move(node, to: place) }
    entry = entry.flatMap { places[$0] }
    free = []
    slots = live.count
    ids = newIDs
    levels = newLevels
    locations = locations.compactMapValues { places[$0] }
    freeUpper = [:]
    upperUsed = 0
    upper.resize(to: newLevels.reduce(0) { $0 + Int($1) * m })
    setCapacity(slots)
    for place in 0..<slots {
      let level = Int(levels[place])
      unsafe upperStarts.start[place] = level == 0 ? -1 : takeUpper(level)
      for (l, nodes) in allLinks[place].enumerated() { setLinks(of: Node(place), level: l, to: nodes) }
    }
  }

  private func move(_ node: Node, to place: Int) {
    let from = Int(node)
    unsafe (records.start + place * stride).update(from: records.start + from * stride, count: stride)
    switch storage {
    case .int8: return
    case .fp32:
      unsafe (floats.start + place * dimension).update(from: floats.start + from * dimension, count: dimension)
    case .fp16:
      unsafe (halves.start + place * dimension).update(from: halves.start + from * dimension, count: dimension)
    }
    unsafe squaredNorms.start[place] = squaredNorms.start[from]
  }
}
