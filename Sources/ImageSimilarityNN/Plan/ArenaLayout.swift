/// Gives every activation tensor of a network a place in one arena, such that tensors that live at the same time do not
/// overlap.
///
/// The parts of a concatenation are slices of its channels and need no copy.
struct ArenaLayout {
  typealias Value = NetworkBuilder.Value

  private var slots: [Value: NetworkPlan.Slot] = [:]
  /// Floats in all.
  private(set) var count = 0

  func slot(_ value: Value) -> NetworkPlan.Slot {
    guard let slot = slots[value] else { preconditionFailure("every value of a plan has a place") }
    return slot
  }

  init(input: Value, nodes: [NetworkBuilder.Node], output: Value) {
    // The value whose memory each value is part of, and its first channel there.
    var parents: [Value: (parent: Value, channel: Int)] = [:]
    for node in nodes {
      if case .concatenate = node.layer {
        var channel = 0
        for part in node.inputs {
          parents[part] = (node.output, channel)
          channel += part.channels
        }
      }
    }
    func root(of value: Value) -> (value: Value, channel: Int) {
      var (root, channel) = (value, 0)
      while let (parent, first) = parents[root] {
        channel += first
        root = parent
      }
      return (root, channel)
    }

    // The steps during which each root's memory is in use.
    var lifetimes: [Value: ClosedRange<Int>] = [root(of: input).value: 0...0]
    func use(_ value: Value, at step: Int) {
      let root = root(of: value).value
      let known = lifetimes[root] ?? step...step
      lifetimes[root] = min(known.lowerBound, step)...max(known.upperBound, step)
    }
    for (step, node) in nodes.enumerated() {
      for value in node.inputs { use(value, at: step) }
      use(node.output, at: step)
    }
    use(output, at: nodes.count)

    // Largest first, each at the lowest offset that is free during its lifetime.
    var placed: [(range: Range<Int>, lifetime: ClosedRange<Int>)] = []
    var offsets: [Value: Int] = [:]
    let roots = lifetimes.sorted { a, b in
      let (sizeA, sizeB) = (Self.size(a.key), Self.size(b.key))
      return sizeA != sizeB ? sizeA > sizeB : a.key.id < b.key.id
    }
    for (value, lifetime) in roots {
      var offset = 0
      for other in placed.filter({ $0.lifetime.overlaps(lifetime) }).sorted(by: {
        $0.range.lowerBound < $1.range.lowerBound
      }) {
        if offset + Self.size(value) <= other.range.lowerBound { break }
        offset = max(offset, other.range.upperBound)
      }
      placed.append((offset..<offset + Self.size(value), lifetime))
      offsets[value] = offset
      count = max(count, offset + Self.size(value))
    }

    for value in [input] + nodes.map(\.output) {
      let (root, channel) = root(of: value)
      guard let offset = offsets[root] else { preconditionFailure("every root of a plan has a place") }
      slots[value] = NetworkPlan.Slot(offset: offset + channel, pixelStride: root.channels)
    }
  }

  /// Floats of a value, rounded up to whole cache lines.
  private static func size(_ value: Value) -> Int {
    (value.height * value.width * value.channels + 15) / 16 * 16
  }
}
