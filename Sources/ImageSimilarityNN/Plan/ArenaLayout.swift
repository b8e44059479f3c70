/// Gives every activation tensor of a network a place in one arena, such that tensors that live at the same time do not
/// overlap.
///
/// The parts of a concatenation are slices of its channels and need no copy. A tensor has borders where windows of its
/// consumers reach over its edges.
struct ArenaLayout {
  typealias Value = NetworkBuilder.Value

  /// Where a tensor lies: NHWC, with borders of pixels around it.
  struct Slot: Sendable {
    /// Byte of the first picture's pixel (0, 0).
    var offset: Int
    /// Elements between neighbouring pixels, and rows.
    var pixel: Int
    var row: Int
    /// Bytes between the pictures of a group.
    var picture: Int
    /// The segment whose group of pictures has room here.
    var segment: Int
    var element: Element
    var border: Border
  }

  /// Pixels around a tensor.
  struct Border: Sendable, Hashable {
    var top = 0
    var left = 0
    var bottom = 0
    var right = 0

    var isEmpty: Bool { self == Border() }
    /// The left border of a row is the right one of the row before.
    var betweenRows: Int { max(left, right) }

    mutating func formUnion(_ other: Border) {
      top = max(top, other.top)
      left = max(left, other.left)
      bottom = max(bottom, other.bottom)
      right = max(right, other.right)
    }

    /// What a window reads outside its input.
    init(_ window: NetworkBuilder.Window, input: Value) {
      let overhang = window.overhang(over: input)
      (top, left, bottom, right) = overhang
    }

    init() {}
  }

  private var slots: [Value: Slot] = [:]
  /// Bytes in all.
  private(set) var count = 0

  func slot(_ value: Value) -> Slot {
    guard let slot = slots[value] else { preconditionFailure("every value of a plan has a place") }
    return slot
  }

  /// - Parameters:
  ///   - dense: Values without gaps.
  ///   - elements: How each value is stored.
  init(
    input: Value, nodes: [NetworkBuilder.Node], dense: Set<Value> = [], output: Value, schedule: Schedule,
    elements: @escaping (Value) -> Element
  ) {
    let roots = Roots(nodes: nodes, elements: elements)

    var borders: [Value: Border] = [:]
    for node in nodes {
      guard case .convolution(let layer) = node.layer else { continue }
      let root = roots.root(of: node.inputs[0]).value
      borders[root, default: Border()].formUnion(Border(layer.window, input: node.inputs[0]))
    }

    // Each root's lifetime in blocks. One that a later segment reads is there from the beginning: the blocks before run
    // several times while its pictures gather.
    var moments: [(node: ClosedRange<Int>, block: Int, segment: Int)] = []
    for (index, segment) in schedule.segments.enumerated() {
      for block in segment.blocks { moments.append((block.nodes, moments.count, index)) }
    }
    var lifetimes: [Value: ClosedRange<Int>] = [:]
    var segments: [Value: ClosedRange<Int>] = [:]
    func use(_ value: Value, in moment: (node: ClosedRange<Int>, block: Int, segment: Int)) {
      let root = roots.root(of: value).value
      let lifetime = lifetimes[root] ?? moment.block...moment.block
      lifetimes[root] = min(lifetime.lowerBound, moment.block)...max(lifetime.upperBound, moment.block)
      let segment = segments[root] ?? moment.segment...moment.segment
      segments[root] = min(segment.lowerBound, moment.segment)...max(segment.upperBound, moment.segment)
    }
    use(input, in: moments[0])
    for moment in moments {
      for node in nodes[moment.node] {
        for value in node.inputs { use(value, in: moment) }
        use(node.output, in: moment)
      }
    }
    for (root, range) in segments where range.count > 1 {
      lifetimes[root] = 0...(lifetimes[root]?.upperBound ?? 0)
    }

    var shapes: [Value: Slot] = [:]
    var sizes: [Value: Int] = [:]
    for root in lifetimes.keys {
      let element = elements(root)
      let border = borders[root] ?? Border()
      var pixel = roots.storedChannels(of: root)
      precondition(border.isEmpty || !dense.contains(root), "a value without gaps has no border")
      // Pixels a page apart would all compete for the same few lines of the L1 cache.
      if pixel * element.size % 4096 == 0, !dense.contains(root) { pixel += 64 / element.size }
      let row = (root.width + border.betweenRows) * pixel
      let before = (border.top * row + border.left * pixel) * element.size
      let all = ((border.top + root.height + border.bottom) * row + border.left * pixel) * element.size
      let lead = (before + 63) / 64 * 64
      let picture = (lead + all - before + 63) / 64 * 64
      let segment = segments[root]?.upperBound ?? 0
      shapes[root] = Slot(
        offset: lead, pixel: pixel, row: row, picture: picture, segment: segment, element: element, border: border)
      sizes[root] = picture * schedule.segments[segment].group
    }
    func size(_ value: Value) -> Int { sizes[value] ?? 0 }

    // Largest first, each at the lowest offset that is free during its lifetime.
    var placed: [(range: Range<Int>, lifetime: ClosedRange<Int>)] = []
    let order = lifetimes.sorted { a, b in
      size(a.key) != size(b.key) ? size(a.key) > size(b.key) : a.key.id < b.key.id
    }
    for (value, lifetime) in order {
      var offset = 0
      for other in placed.filter({ $0.lifetime.overlaps(lifetime) }).sorted(by: {
        $0.range.lowerBound < $1.range.lowerBound
      }) {
        if offset + size(value) <= other.range.lowerBound { break }
        offset = max(offset, other.range.upperBound)
      }
      placed.append((offset..<offset + size(value), lifetime))
      shapes[value]?.offset += offset
      count = max(count, offset + size(value))
    }

    for value in [input] + nodes.map(\.output) {
      let (root, channel) = roots.root(of: value)
      guard var slot = shapes[root] else { preconditionFailure("every root of a plan has a place") }
      slot.offset += channel * slot.element.size
      slots[value] = slot
    }
  }
}

/// The values whose memory others are slices of.
struct Roots {
  typealias Value = NetworkBuilder.Value

  private var parents: [Value: (parent: Value, channel: Int)] = [:]
  private var channels: [Value: Int] = [:]
  private let elements: (Value) -> Element

  init(nodes: [NetworkBuilder.Node], elements: @escaping (Value) -> Element) {
    self.elements = elements
    for node in nodes {
      guard case .concatenate = node.layer else { continue }
      var channel = 0
      for part in node.inputs {
        parents[part] = (node.output, channel)
        channel += storedChannels(of: part)
      }
      channels[node.output] = channel
    }
  }

  /// Elements of a pixel.
  func storedChannels(of value: Value) -> Int {
    channels[value] ?? elements(value).storedChannels(value.channels)
  }

  /// The value whose memory `value` is part of, and the first of its channels there.
  func root(of value: Value) -> (value: Value, channel: Int) {
    var (root, channel) = (value, 0)
    while let (parent, first) = parents[root] {
      channel += first
      root = parent
    }
    return (root, channel)
  }
}
