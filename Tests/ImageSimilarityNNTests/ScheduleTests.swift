import ImageSimilarityCore
import ImageSimilarityNN
import Testing

/// The order of a network's work: whatever layers cost, all of it is done once, after what it depends on.
@Suite struct ScheduleTests {
  /// Costs by which layers run in bands, picture by picture, or over groups of pictures.
  enum Costs: CaseIterable {
    case fp32, int8, everythingIsFree, mapsAreHuge, weightsAreHuge, growing

    func cost(of node: NetworkBuilder.Node, at index: Int) -> Schedule.Cost {
      let size = self == .fp32 ? 4 : 1
      func bytes(_ value: NetworkBuilder.Value) -> Int { value.height * value.width * value.channels * size }
      var cost = Schedule.Cost(
        weights: node.inputs[0].channels * node.output.channels * 9 * size,
        activations: bytes(node.inputs[0]) + bytes(node.output), output: bytes(node.output), rowStep: 1)
      switch self {
      case .fp32: if node.isSquareConvolution { cost.rowStep = 4 }
      case .int8: break
      case .everythingIsFree: (cost.weights, cost.activations, cost.output) = (0, 0, 0)
      case .mapsAreHuge: (cost.weights, cost.activations, cost.output) = (0, 40 << 20, 20 << 20)
      case .weightsAreHuge: cost.weights = 1 << 40
      case .growing:
        cost.weights = index << 16
        cost.rowStep = index % 3 + 1
      }
      return cost
    }
  }

  @Test(arguments: Backbones.all.map(\.name), Costs.allCases) func backbones(_ name: String, _ costs: Costs) throws {
    let backbone = try Backbones.named(name)
    var network = NetworkBuilder(inputSize: backbone.inputSize)
    _ = backbone.build(&network)
    check(network, costs)
  }

  @Test(arguments: [(1, 1), (2, 5), (37, 23), (224, 224), (301, 8)], Costs.allCases)
  func oddNetworks(_ size: (height: Int, width: Int), _ costs: Costs) {
    var network = NetworkBuilder(inputSize: PixelSize(width: size.width, height: size.height))
    let stem = network.convolution(network.input, "a", channels: 8, kernel: 7, stride: 3, padding: .symmetric(4))
    let pooled = network.maxPool(stem, kernel: 3, stride: 2, padding: 1, ceilMode: true)
    let wide = network.convolution(pooled, "b", channels: 8, kernel: 5, padding: .same)
    let deep = network.convolution(
      wide, "c", channels: 8, kernel: 3, padding: .symmetric(1), grouping: .depthwise)
    let sum = network.convolution(deep, "d", channels: 8, kernel: 1, adding: pooled)
    // A residual that is the input too, and windows that leave out rows of their input.
    let twice = network.convolution(sum, "e", channels: 8, kernel: 3, padding: .symmetric(1), adding: sum)
    let sparse = network.convolution(twice, "f", channels: 16, kernel: 1, stride: 2)
    let left = network.convolution(sparse, "g", channels: 4, kernel: 1)
    let right = network.convolution(sparse, "h", channels: 4, kernel: 3, padding: .symmetric(1))
    let joined = network.concatenate([left, right])
    let last = network.convolution(joined, "i", channels: 4, kernel: 3, stride: 2, padding: .same)
    _ = network.linear(network.globalAveragePool(last), "j", features: 10)
    check(network, costs)
  }

  private func check(_ network: NetworkBuilder, _ costs: Costs) {
    let nodes = network.nodes
    let costs = nodes.enumerated().map { costs.cost(of: $1, at: $0) }
    let schedule = Schedule(input: network.input, nodes: nodes, costs: costs)

    let ranges = schedule.segments.flatMap { $0.blocks.map(\.nodes) }
    #expect(ranges.flatMap { Array($0) } == Array(nodes.indices), "each layer belongs to one block, in order")
    for (earlier, later) in zip(schedule.segments, schedule.segments.dropFirst()) {
      #expect(later.group > earlier.group && later.group % earlier.group == 0, "groups are made of whole ones")
    }

    // How often each row has been computed, of the input (0) and of each layer's output.
    var computed: [NetworkBuilder.Value: [Int]] = [:]
    for value in [network.input] + nodes.map(\.output) { computed[value] = Array(repeating: 0, count: value.height) }
    for block in schedule.segments.flatMap(\.blocks) {
      for task in block.tasks {
        #expect(task.node == -1 && block.nodes.lowerBound == 0 || block.nodes.contains(task.node))
        let output = task.node < 0 ? network.input : nodes[task.node].output
        guard task.rows.lowerBound >= 0, task.rows.upperBound <= output.height else {
          Issue.record("layer \(task.node) has no rows \(task.rows)")
          return
        }
        if task.node >= 0 {
          let step = costs[task.node].rowStep
          #expect(task.rows.lowerBound % step == 0)
          #expect(task.rows.upperBound % step == 0 || task.rows.upperBound == output.height)
          for (value, row) in nodes[task.node].rowsRead(for: task.rows) where computed[value]?[row] != 1 {
            Issue.record("layer \(task.node), rows \(task.rows): row \(row) of an input is not there")
            return
          }
        }
        for row in task.rows { computed[output]?[row] += 1 }
      }
    }
    for (value, counts) in computed {
      #expect(counts.allSatisfy { $0 == 1 }, "\(value.shape): each row is computed once")
    }
  }
}

extension NetworkBuilder.Node {
  fileprivate var isSquareConvolution: Bool {
    guard case .convolution(let layer) = layer else { return false }
    return layer.grouping == .dense && layer.window.kernel.height == 3 && layer.window.stride.height == 1
  }

  /// What the output's rows depend on: rows of inputs, from the definition of each layer.
  fileprivate func rowsRead(for rows: Range<Int>) -> [(NetworkBuilder.Value, Int)] {
    func windows(_ window: NetworkBuilder.Window) -> [(NetworkBuilder.Value, Int)] {
      rows.flatMap { row in
        (0..<window.kernel.height).map { (inputs[0], row * window.stride.height - window.padTop + $0) }
      }.filter { (0..<inputs[0].height).contains($0.1) }
    }
    switch layer {
    case .convolution(let layer):
      return windows(layer.window) + (layer.residual.map { v in rows.map { (v, $0) } } ?? [])
    case .maxPool(let window): return windows(window)
    case .concatenate: return inputs.flatMap { input in rows.map { (input, $0) } }
    case .globalAveragePool, .linear, .tensor, .argument:
      return inputs.flatMap { input in (0..<input.height).map { (input, $0) } }
    }
  }
}
