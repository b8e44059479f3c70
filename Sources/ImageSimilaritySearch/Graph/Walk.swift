import CSimilarityKernels
import ImageSimilarityCore

/// A node at a distance from a query, by their codes; see `imsim_near`.
typealias NearNode = imsim_near

extension NearNode {
  var node: GraphNodes.Node { UInt32(truncatingIfNeeded: self) }

  /// The negative inner product, or the squared Euclidean distance.
  var value: Float {
    let bits = UInt32(self >> 32)
    return Float(bitPattern: bits & 0x8000_0000 != 0 ? bits & 0x7fff_ffff : ~bits)
  }
}

/// Memory of one thread's walks. It fits any number of nodes: it grows with them.
///
/// `@unchecked Sendable`: ``WalkPool`` lends it to one thread at a time.
@safe final class Walk: @unchecked Sendable {
  private var visited = GrowingMemory<UInt64>()
  private var visitedNodes = GrowingMemory<UInt32>()
  private var fresh = GrowingMemory<UInt32>()
  private var beam = GrowingMemory<NearNode>()
  private var queryCodes = GrowingMemory<UInt8>()
  private var queryRecord = GrowingMemory<UInt8>()
  private var chosen = GrowingMemory<UInt32>()

  private func prepare(_ nodes: GraphNodes, beam count: Int) {
    let words = (nodes.capacity + 63) / 64
    if visited.count < words {
      visited.resize(to: words)
      visitedNodes.resize(to: words * 64)
    }
    if fresh.count < 2 * nodes.m { fresh.resize(to: 2 * nodes.m) }
    if beam.count < count { beam.resize(to: count) }
    if queryCodes.count < nodes.codeBytes { queryCodes.resize(to: nodes.codeBytes) }
    if queryRecord.count < nodes.stride { queryRecord.resize(to: nodes.stride) }
    if chosen.count < 2 * nodes.m { chosen.resize(to: 2 * nodes.m) }
  }

  /// Up to `ef` nodes of a level that are near to a vector, ascending.
  func search(_ nodes: GraphNodes, _ query: Span<Float>, level: Int, ef: Int) -> [NearNode] {
    prepare(nodes, beam: ef + 1)
    unsafe nodes.encode(query, into: queryRecord.start)
    return unsafe search(nodes, UnsafePointer(queryRecord.start), entry: nodes.entry, level: level, ef: ef)
  }

  /// The same from a node, beginning at `entry` on the graph's top level.
  func search(_ nodes: GraphNodes, from node: GraphNodes.Node, level: Int, ef: Int) -> [NearNode] {
    prepare(nodes, beam: ef + 1)
    return unsafe search(nodes, nodes.record(node), entry: nodes.entry, level: level, ef: ef)
  }

  private func search(
    _ nodes: GraphNodes, _ record: UnsafePointer<UInt8>, entry: GraphNodes.Node?, level: Int, ef: Int
  ) -> [NearNode] {
    guard let entry else { return [] }
    var view = unsafe nodes.view
    var walk = unsafe imsim_walk(
      visited: visited.start, visited_nodes: visitedNodes.start, fresh: fresh.start, beam: beam.start)
    let count = unsafe imsim_graph_kernels_current().pointee.search(
      &view, record, queryCodes.start, entry, CInt(nodes.topLevel), CInt(level), ef, &walk)
    return unsafe Array(UnsafeBufferPointer(start: beam.start, count: count))
  }

  /// The distances of a vector to nodes, in their order.
  func distances(_ nodes: GraphNodes, _ query: Span<Float>, to others: [GraphNodes.Node]) -> [NearNode] {
    prepare(nodes, beam: 1)
    unsafe nodes.encode(query, into: queryRecord.start)
    return unsafe distances(nodes, UnsafePointer(queryRecord.start), others)
  }

  /// The same from a node.
  func distances(_ nodes: GraphNodes, from node: GraphNodes.Node, to others: [GraphNodes.Node]) -> [NearNode] {
    prepare(nodes, beam: 1)
    return unsafe distances(nodes, nodes.record(node), others)
  }

  private func distances(
    _ nodes: GraphNodes, _ record: UnsafePointer<UInt8>, _ others: [GraphNodes.Node]
  ) -> [NearNode] {
    if others.isEmpty { return [] }
    var view = unsafe nodes.view
    return unsafe [NearNode](unsafeUninitializedCapacity: others.count) { near, count in
      count = others.count
      guard let near = near.baseAddress else { return }
      unsafe imsim_graph_kernels_current().pointee.distances(
        &view, record, queryCodes.start, others, others.count, near)
    }
  }

  /// Of candidates, ascending, those to which a node is linked: at most `most`.
  func select(_ nodes: GraphNodes, _ candidates: [NearNode], most: Int) -> [GraphNodes.Node] {
    prepare(nodes, beam: 1)
    var view = unsafe nodes.view
    let count = unsafe imsim_graph_kernels_current().pointee.select(
      &view, queryCodes.start, candidates, candidates.count, most, chosen.start)
    return unsafe Array(UnsafeBufferPointer(start: chosen.start, count: count))
  }
}
