/// The order in which a network's layers run over the rows of their outputs and over the pictures of a batch.
///
/// Early layers have large maps and few weights: they run picture by picture, several layers in turn over bands of rows, so
/// that a band is still in the L2 cache when the next layer reads it. Late layers have small maps and many weights: they run
/// over a group of pictures, so that the weights are read once for all of them. Results do not depend on any of it.
package struct Schedule {
  package typealias Node = NetworkBuilder.Node
  package typealias Value = NetworkBuilder.Value

  /// One layer's share of a block: rows of its output. The index counts the network's nodes; -1 is the network's input.
  package struct Task: Sendable, Hashable {
    package var node: Int
    package var rows: Range<Int>
  }

  /// Layers that run together.
  package struct Block: Sendable {
    package var nodes: ClosedRange<Int>
    package var tasks: [Task]
    /// Whether all tasks run for one picture before the next.
    package var isPerPicture: Bool
  }

  /// Layers that run over as many pictures at a time.
  package struct Segment: Sendable {
    package var group: Int
    package var blocks: [Block]
  }

  /// What a layer costs in memory, in bytes.
  package struct Cost {
    package var weights: Int
    /// What it reads and writes, for one picture.
    package var activations: Int
    /// What it writes, for one picture.
    package var output: Int
    /// Outputs are computed in multiples of this many rows.
    package var rowStep: Int

    package init(weights: Int, activations: Int, output: Int, rowStep: Int) {
      self.weights = weights
      self.activations = activations
      self.output = output
      self.rowStep = rowStep
    }
  }

  /// Weights of the layers of a band, and a band's activations: together they leave room in an L2 cache of 1 MiB.
  private static let bandWeights = 256 << 10
  private static let bandActivations = 384 << 10
  /// Activations of a group of pictures, which stay in the L3 cache.
  private static let groupActivations = 4 << 20
  private static let largestGroup = 16

  package private(set) var segments: [Segment] = []

  /// - Parameter costs: of each node.
  package init(input: Value, nodes: [Node], costs: [Cost]) {
    // Groups grow along the network: a later one is made of whole earlier ones.
    var group = 1
    var groups: [Int] = []
    for cost in costs {
      let worth = cost.weights / max(cost.activations, 1)
      let room = Self.groupActivations / max(cost.activations, 1)
      let wanted = min(worth, room, Self.largestGroup)
      while group * 2 <= wanted { group *= 2 }
      groups.append(group)
    }

    var first = 0
    while first < nodes.count {
      let last = groups.lastIndex(of: groups[first]) ?? first
      segments.append(
        Segment(
          group: groups[first],
          blocks: Self.blocks(first...last, input: input, nodes: nodes, costs: costs, group: groups[first])))
      first = last + 1
    }
  }

  private static func blocks(
    _ range: ClosedRange<Int>, input: Value, nodes: [Node], costs: [Cost], group: Int
  ) -> [Block] {
    var blocks: [Block] = []
    var first = range.lowerBound
    while first <= range.upperBound {
      var last = first
      if group == 1 {
        var weights = costs[first].weights
        // Where a map is small, or smaller than the next, it may as well be complete before the next layer begins.
        while last < range.upperBound, nodes[last].isByRows, nodes[last + 1].isByRows,
          costs[last].output > bandActivations,
          costs[last + 1].output <= 2 * costs[last].output,
          weights + costs[last + 1].weights <= bandWeights, nodes[last + 1].output.height > 1
        {
          last += 1
          weights += costs[last].weights
        }
      }
      blocks.append(block(first...last, input: input, nodes: nodes, costs: costs, isBanded: group == 1))
      first = last + 1
    }
    return blocks
  }

  private static func block(
    _ range: ClosedRange<Int>, input: Value, nodes: [Node], costs: [Cost], isBanded: Bool
  ) -> Block {
    let height = nodes[range.upperBound].output.height
    var band = height
    if isBanded, nodes[range.upperBound].isByRows {
      let bytes = range.reduce(0) { $0 + costs[$1].activations } / 2
      band = max(1, min(height, height * bandActivations / max(bytes, 1)))
    }

    // The node, or the network's input, that gives each value of the block.
    var producers: [Value: Int] = [:]
    for index in range { producers[nodes[index].output] = index }
    if range.lowerBound == 0 { producers[input] = -1 }
    func size(_ index: Int) -> Int { index < 0 ? input.height : nodes[index].output.height }
    let members = (range.lowerBound == 0 ? [-1] : []) + Array(range)

    var done: [Int: Int] = [:]
    var tasks: [Task] = []
    for end in stride(from: band, to: height + band, by: band) {
      let target = min(end, height)
      // Rows that the band needs of each layer: its share, and what the layers after it read.
      var needed: [Int: Int] = [:]
      for index in members { needed[index] = (size(index) * target + height - 1) / height }
      for index in range.reversed() {
        let step = costs[index].rowStep
        let rows = min((needed[index, default: 0] + step - 1) / step * step, size(index))
        needed[index] = rows
        for value in nodes[index].inputs {
          guard let producer = producers[value] else { continue }
          let read = min(nodes[index].rowsRead(of: value, forRows: rows), value.height)
          needed[producer] = max(needed[producer, default: 0], read)
        }
      }
      for index in members {
        let rows = done[index, default: 0]..<max(done[index, default: 0], needed[index, default: 0])
        if !rows.isEmpty { tasks.append(Task(node: index, rows: rows)) }
        done[index] = rows.upperBound
      }
    }
    return Block(nodes: range, tasks: tasks, isPerPicture: isBanded)
  }
}

extension NetworkBuilder.Node {
  /// Rows of an input, from the top, that the first `rows` rows of the output depend on; may exceed the input's height.
  fileprivate func rowsRead(of value: NetworkBuilder.Value, forRows rows: Int) -> Int {
    func reach(_ window: NetworkBuilder.Window) -> Int {
      (rows - 1) * window.stride.height - window.padTop + window.reach.height
    }
    switch layer {
    case .convolution(let layer):
      return value == layer.residual && value != inputs[0] ? rows : max(rows, reach(layer.window))
    case .maxPool(let window): return reach(window)
    case .concatenate: return rows
    case .tensor(let layer): return layer.rowsRead(of: value, forRows: rows)
    case .globalAveragePool, .linear, .argument: return value.height
    }
  }

  /// Whether rows of the output can be computed by themselves.
  fileprivate var isByRows: Bool {
    switch layer {
    case .convolution, .maxPool, .concatenate, .globalAveragePool, .linear: true
    case .tensor(let layer): layer.rowAxis != nil
    case .argument: false
    }
  }
}
