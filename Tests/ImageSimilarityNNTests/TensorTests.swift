import ImageSimilarityCore
import ImageSimilarityNN
import Testing

/// Layers over tensors of any shape, against definitions written out.
struct TensorTests {
  typealias Network = NetworkBuilder

  /// A row-major tensor.
  struct Reference: Equatable {
    var shape: [Int]
    var values: [Float]

    init(_ shape: [Int], seed: Int = 1) {
      self.shape = shape
      var state = UInt64(truncatingIfNeeded: seed &* 7919 &+ 13)
      values = (0..<shape.reduce(1, *)).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(Int(state >> 40) % 2001 - 1000) / 500
      }
    }

    init(_ shape: [Int], _ element: ([Int]) -> Float) {
      self.shape = shape
      values = Self.indices(shape).map(element)
    }

    static func indices(_ shape: [Int]) -> [[Int]] {
      shape.reduce([[]]) { all, size in all.flatMap { index in (0..<size).map { index + [$0] } } }
    }

    subscript(_ index: [Int]) -> Float {
      var place = 0
      for (size, i) in zip(shape, index) { place = place * size + i }
      return values[place]
    }

    subscript(_ index: Int...) -> Float { self[index] }

    func transposed(_ permutation: [Int]) -> Reference {
      Reference(permutation.map { shape[$0] }) { index in
        var source = index
        for (place, axis) in permutation.enumerated() { source[axis] = index[place] }
        return self[source]
      }
    }

    func reshaped(_ shape: [Int]) -> Reference {
      var copy = self
      copy.shape = shape
      return copy
    }
  }

  struct Weights: WeightSource {
    var tensors: [String: Reference] = [:]
    let name = "weights"
    let digest = ""
    var names: [String] { Array(tensors.keys) }
    func shape(of name: String) -> [Int]? { tensors[name]?.shape }
    func floats(_ name: String) throws(SimilarityError) -> [Float] { tensors[name]?.values ?? [] }
  }

  /// Computes what `build` describes over the arguments.
  private func evaluate(
    _ arguments: [Reference], _ weights: [String: Reference] = [:],
    _ build: (inout Network, [Network.Tensor]) -> Network.Tensor
  ) throws -> Reference {
    var network = Network(inputSize: PixelSize(width: 1, height: 1))
    let inputs = arguments.map { network.argument(shape: $0.shape) }
    let result = build(&network, inputs)
    let output = network.vector([result])
    let values = try NetworkPlan.evaluate(
      network, output, weights: Weights(tensors: weights), arguments: arguments.map(\.values))
    return Reference(result.shape, values)
  }

  private func expect(
    _ found: Reference, _ expected: Reference, tolerance: Float = 0, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(found.shape == expected.shape, sourceLocation: sourceLocation)
    let worst = zip(found.values, expected.values).map { abs($0 - $1) }.max() ?? 0
    #expect(worst <= tolerance, "largest difference \(worst)", sourceLocation: sourceLocation)
  }

  @Test func viewsSeeTheSameElements() throws {
    let x = Reference([1, 6, 4, 5])
    expect(try evaluate([x]) { network, t in network.transposed(t[0], [0, 2, 3, 1]) }, x.transposed([0, 2, 3, 1]))
    expect(
      try evaluate([x]) { network, t in network.reshaped(network.transposed(t[0], [0, 3, 1, 2]), to: [5, 24]) },
      x.transposed([0, 3, 1, 2]).reshaped([5, 24]))
    expect(
      try evaluate([x]) { network, t in
        network.sliced(network.sliced(t[0], axis: 1, from: 5, count: 3, step: -2), axis: 3, from: 1, count: 2, step: 3)
      },
      Reference([1, 3, 4, 2]) { x[0, 5 - 2 * $0[1], $0[2], 1 + 3 * $0[3]] })
    expect(
      try evaluate([Reference([4, 1])]) { network, t in network.broadcast(t[0], to: [3, 4, 5]) },
      Reference([3, 4, 5]) { Reference([4, 1])[$0[1], 0] })
  }

  /// ShuffleNet's shuffle of channels: a view that a convolution then reads through a copy.
  @Test func channelsAreShuffled() throws {
    let x = Reference([1, 6, 3, 4])
    let weight = Reference([6, 1, 3, 3], seed: 3)
    let found = try evaluate([x], ["a.weight": weight]) { network, t in
      let y = network.convolution(
        t[0], "a", filters: 6, window: .init(kernel: .init(3), padTop: 1, padLeft: 1, padBottom: 1, padRight: 1),
        groups: 6, bias: false)
      let grouped = network.reshaped(y, to: [1, 2, 3, 3, 4])
      return network.reshaped(network.transposed(grouped, [0, 2, 1, 3, 4]), to: [1, 6, 3, 4])
    }
    let y = convolved(x, weight, groups: 6, pad: (1, 1))
    expect(
      found, y.reshaped([1, 2, 3, 3, 4]).transposed([0, 2, 1, 3, 4]).reshaped([1, 6, 3, 4]), tolerance: 1e-5)
  }

  private func convolved(
    _ x: Reference, _ weight: Reference, groups: Int = 1, stride: (Int, Int) = (1, 1), dilation: (Int, Int) = (1, 1),
    pad: (Int, Int) = (0, 0), after: (Int, Int)? = nil
  ) -> Reference {
    let after = after ?? pad
    let (kernelY, kernelX) = (weight.shape[2], weight.shape[3])
    let height = (x.shape[2] + pad.0 + after.0 - (kernelY - 1) * dilation.0 - 1) / stride.0 + 1
    let width = (x.shape[3] + pad.1 + after.1 - (kernelX - 1) * dilation.1 - 1) / stride.1 + 1
    let filters = weight.shape[0]
    let channels = weight.shape[1]
    return Reference([1, filters, height, width]) { index in
      let first = index[1] / (filters / groups) * channels
      var sum: Double = 0
      for c in 0..<channels {
        for ky in 0..<kernelY {
          for kx in 0..<kernelX {
            let y = index[2] * stride.0 - pad.0 + ky * dilation.0
            let xx = index[3] * stride.1 - pad.1 + kx * dilation.1
            guard (0..<x.shape[2]).contains(y), (0..<x.shape[3]).contains(xx) else { continue }
            sum += Double(x[0, first + c, y, xx]) * Double(weight[index[1], c, ky, kx])
          }
        }
      }
      return Float(sum)
    }
  }

  struct Case: Sendable {
    var channels = 6
    var filters = 8
    var kernel = (3, 3)
    var stride = (1, 1)
    var dilation = (1, 1)
    var pad = (0, 0)
    var after = (0, 0)
    var groups = 1
  }

  @Test(arguments: [
    Case(kernel: (1, 7), pad: (0, 3), after: (0, 3)), Case(kernel: (3, 1), stride: (2, 1), pad: (1, 0), after: (1, 0)),
    Case(dilation: (2, 3), pad: (2, 3), after: (2, 3)), Case(stride: (1, 2), pad: (1, 1), after: (0, 2)),
    Case(pad: (1, 1), after: (1, 1), groups: 2),
    Case(filters: 6, dilation: (2, 2), pad: (2, 2), after: (2, 2), groups: 6),
    Case(filters: 12, pad: (1, 1), after: (1, 1), groups: 6), Case(filters: 6, kernel: (5, 3), groups: 6),
    Case(channels: 33, filters: 99, kernel: (2, 2), stride: (2, 2), groups: 3),
  ])
  func convolutions(_ case: Case) throws {
    let x = Reference([1, `case`.channels, 9, 11])
    let weight = Reference(
      [`case`.filters, `case`.channels / `case`.groups, `case`.kernel.0, `case`.kernel.1], seed: 2)
    let window = Network.Window(
      kernel: .init(height: `case`.kernel.0, width: `case`.kernel.1),
      stride: .init(height: `case`.stride.0, width: `case`.stride.1),
      dilation: .init(height: `case`.dilation.0, width: `case`.dilation.1), padTop: `case`.pad.0,
      padLeft: `case`.pad.1, padBottom: `case`.after.0, padRight: `case`.after.1)
    let expected = convolved(
      x, weight, groups: `case`.groups, stride: `case`.stride, dilation: `case`.dilation, pad: `case`.pad,
      after: `case`.after)
    expect(
      try evaluate([x], ["a.weight": weight]) { network, t in
        network.convolution(
          t[0], "a", filters: `case`.filters, window: window, groups: `case`.groups, bias: false)
      }, expected, tolerance: 1e-4)
    // With a residual and an activation, which are fused or follow.
    let residual = Reference(expected.shape, seed: 5)
    var sum = expected
    for i in sum.values.indices { sum.values[i] = min(max(sum.values[i] + residual.values[i], -1), 2) }
    expect(
      try evaluate([x, residual], ["a.weight": weight]) { network, t in
        network.convolution(
          t[0], "a", filters: `case`.filters, window: window, groups: `case`.groups, bias: false,
          activation: .clamp(low: -1, high: 2), adding: network.unary(.affine(scale: 1, shift: 0), t[1]))
      }, sum, tolerance: 1e-4)
  }

  @Test func linearLayersRunOverAnyLeadingAxes() throws {
    let weight = Reference([7, 5], seed: 2)
    let bias = Reference([7], seed: 3)
    func product(_ x: Reference) -> Reference {
      Reference(x.shape.dropLast() + [7]) { index in
        (0..<5).reduce(bias[index[index.count - 1]]) {
          $0 + x[index.dropLast() + [$1]] * weight[index[index.count - 1], $1]
        }
      }
    }
    let weights = ["a.weight": weight, "a.bias": bias]
    for shape in [[1, 5], [1, 9, 5], [1, 3, 4, 5], [2, 3, 2, 2, 5]] {
      let x = Reference(shape)
      expect(
        try evaluate([x], weights) { network, t in network.linear(t[0], "a", features: 7, bias: true) }, product(x),
        tolerance: 1e-5)
    }
    // Of a map, and back: ConvNeXt's and the vision transformers' ways of writing it.
    let map = Reference([1, 5, 4, 6])
    expect(
      try evaluate([map], weights) { network, t in
        let y = network.linear(network.transposed(t[0], [0, 2, 3, 1]), "a", features: 7, bias: true)
        return network.transposed(y, [0, 3, 1, 2])
      }, product(map.transposed([0, 2, 3, 1])).transposed([0, 3, 1, 2]), tolerance: 1e-5)
    expect(
      try evaluate([map], weights.merging(["b.weight": Reference([5, 5, 3, 3], seed: 9)]) { a, _ in a }) { network, t in
        let y = network.convolution(t[0], "b", filters: 5, window: .init(kernel: .init(3)), bias: false)
        let tokens = network.transposed(network.reshaped(y, to: [1, 5, 8]), [0, 2, 1])
        return network.linear(tokens, "a", features: 7, bias: true, activation: .relu, adding: nil)
      },
      {
        let y = convolved(map, Reference([5, 5, 3, 3], seed: 9)).reshaped([1, 5, 8]).transposed([0, 2, 1])
        var z = product(y)
        for i in z.values.indices { z.values[i] = max(0, z.values[i]) }
        return z
      }(), tolerance: 1e-4)
  }

  /// The attention of a vision transformer: heads are views, and lie side by side again.
  @Test func attention() throws {
    let (tokens, heads, size) = (5, 3, 4)
    let x = Reference([1, tokens, 3 * heads * size])
    let found = try evaluate([x]) { network, t in
      let qkv = network.transposed(network.reshaped(t[0], to: [1, tokens, 3, heads, size]), [2, 0, 3, 1, 4])
      func part(_ i: Int) -> Network.Tensor {
        network.transposed(network.sliced(qkv, axis: 0, from: i, count: 1), [0, 1, 2, 3, 4])
      }
      let (q, k, v) = (part(0), part(1), part(2))
      let scores = network.matrixProduct(q, network.transposed(k, [0, 1, 2, 4, 3]))
      let weights = network.softmax(network.unary(.affine(scale: 0.5, shift: 0), scores), axis: 4)
      let y = network.matrixProduct(weights, v)
      return network.reshaped(network.transposed(y, [0, 1, 3, 2, 4]), to: [1, tokens, heads * size])
    }
    func element(_ part: Int, _ head: Int, _ token: Int, _ i: Int) -> Float {
      x[0, token, (part * heads + head) * size + i]
    }
    let expected = Reference([1, tokens, heads * size]) { index in
      let (token, head, i) = (index[1], index[2] / size, index[2] % size)
      let scores = (0..<tokens).map { other in
        (0..<size).reduce(Float(0)) { $0 + element(0, head, token, $1) * element(1, head, other, $1) } / 2
      }
      let exponentials = scores.map { Double($0 - scores.max()!).exponential }
      let sum = exponentials.reduce(0, +)
      return Float((0..<tokens).reduce(0.0) { $0 + exponentials[$1] / sum * Double(element(2, head, $1, i)) })
    }
    expect(found, expected, tolerance: 1e-5)
  }

  /// A mask of negative infinity takes elements out of a softmax.
  @Test func masksMayBeInfinite() throws {
    let x = Reference([1, 2, 3])
    let mask = Reference([3]) { $0[0] == 1 ? -.infinity : 0 }
    let found = try evaluate([x], ["mask": mask]) { network, t in
      network.softmax(network.binary(.add, t[0], network.constant("mask", shape: [3])), axis: 2)
    }
    for row in 0..<2 {
      let exponentials = [0, 2].map { Double(x[0, row, $0]).exponential }
      #expect(found[0, row, 1] == 0)
      #expect(abs(Double(found[0, row, 0]) - exponentials[0] / (exponentials[0] + exponentials[1])) < 1e-6)
    }
    #expect(throws: SimilarityError.self) {
      try evaluate([x], ["mask": Reference([3]) { _ in .nan }]) { network, t in
        network.binary(.add, t[0], network.constant("mask", shape: [3]))
      }
    }
  }

  @Test func elementsAreCombinedAsNumPyDoes() throws {
    let (a, b) = (Reference([1, 4, 3, 5]), Reference([4, 1, 1], seed: 8))
    expect(
      try evaluate([a, b]) { network, t in network.binary(.subtract, t[0], t[1]) },
      Reference(a.shape) { a[$0] - b[$0[1], 0, 0] })
    expect(
      try evaluate([a], ["c": b]) { network, t in
        network.binary(.multiply, network.constant("c", shape: [4, 1, 1]), t[0])
      }, Reference(a.shape) { a[$0] * b[$0[1], 0, 0] })
    expect(
      try evaluate([a]) { network, t in network.unary(.hardSwish, t[0]) },
      Reference(a.shape) { a[$0] * min(max(a[$0] / 6 + 0.5, 0), 1) }, tolerance: 1e-6)
  }

  @Test func concatenationsShareOrCopyTheirParts() throws {
    let x = Reference([1, 3, 4, 4])
    let weight = Reference([2, 3, 1, 1], seed: 4)
    let y = convolved(x, weight)
    let expected = Reference([1, 10, 4, 4]) { index in
      let (c, rest) = (index[1], [index[2], index[3]])
      return switch c {
      case 0, 1: y[[0, c] + rest]
      case 2, 3: y[[0, c - 2] + rest]
      case 4...6: x[[0, c - 4] + rest]
      default: x[[0, c - 7] + rest]
      }
    }
    expect(
      try evaluate([x], ["a.weight": weight]) { network, t in
        let y = network.convolution(t[0], "a", filters: 2, window: .init(kernel: .init(1)), bias: false)
        let first = network.concatenated([y, y], axis: 1)
        let second = network.concatenated([t[0], t[0]], axis: 1)
        return network.concatenated([first, second], axis: 1)
      }, expected, tolerance: 1e-6)
    expect(
      try evaluate([x]) { network, t in network.concatenated([t[0], t[0]], axis: 2) },
      Reference([1, 3, 8, 4]) { x[0, $0[1], $0[2] % 4, $0[3]] })
  }

  @Test func axesAreReduced() throws {
    let x = Reference([1, 3, 4, 5])
    expect(
      try evaluate([x]) { network, t in network.reduce(.mean, t[0], axes: [2, 3], keepsAxes: false) },
      Reference([1, 3]) { index in
        (0..<20).reduce(Float(0)) { $0 + x[0, index[1], $1 / 5, $1 % 5] } / 20
      }, tolerance: 1e-6)
    expect(
      try evaluate([x]) { network, t in network.reduce(.max, t[0], axes: [1], keepsAxes: true) },
      Reference([1, 1, 4, 5]) { index in (0..<3).map { x[0, $0, index[2], index[3]] }.max()! })
  }

  @Test func rowsAreNormalized() throws {
    let x = Reference([1, 6, 8])
    let (scale, bias) = (Reference([8], seed: 3), Reference([8], seed: 4))
    let expected = Reference(x.shape) { index in
      let row = (0..<8).map { Double(x[0, index[1], $0]) }
      let mean = row.reduce(0, +) / 8
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 8
      let normal = (row[index[2]] - mean) / (variance + 1e-3).squareRoot()
      return Float(normal) * scale[index[2]] + bias[index[2]]
    }
    expect(
      try evaluate([x], ["s": scale, "b": bias]) { network, t in
        network.layerNormalization(
          t[0], axis: 2, epsilon: 1e-3, scale: network.constant("s", shape: [8]),
          bias: network.constant("b", shape: [8]))
      }, expected, tolerance: 1e-5)
  }

  @Test func tensorsArePaddedAndResampled() throws {
    let x = Reference([1, 2, 3, 4])
    expect(
      try evaluate([x]) { network, t in
        network.padded(t[0], before: [0, 1, 0, 2], after: [0, 0, 1, 1], value: 7)
      },
      Reference([1, 3, 4, 7]) { index in
        let (c, y, column) = (index[1] - 1, index[2], index[3] - 2)
        return c >= 0 && y < 3 && (0..<4).contains(column) ? x[0, c, y, column] : 7
      })
    expect(
      try evaluate([x]) { network, t in
        network.resampled(t[0], axis: 2, indices: [[0, 1], [2, 2]], weights: [[0.25, 0.75], [1, 0]])
      },
      Reference([1, 2, 2, 4]) { index in
        index[2] == 1
          ? x[0, index[1], 2, index[3]] : x[0, index[1], 0, index[3]] / 4 + x[0, index[1], 1, index[3]] * 3 / 4
      }, tolerance: 1e-6)
  }

  @Test func pools() throws {
    let x = Reference([1, 3, 5, 6])
    func window(_ index: [Int]) -> [Float] {
      (0..<2).flatMap { ky in
        (0..<3).compactMap { kx in
          let (y, column) = (index[2] * 2 - 1 + ky, index[3] - 1 + kx)
          return (0..<5).contains(y) && (0..<6).contains(column) ? x[0, index[1], y, column] : nil
        }
      }
    }
    for kind in [Network.PoolKind.max, .average(countsPadding: false), .average(countsPadding: true)] {
      expect(
        try evaluate([x]) { network, t in
          network.pool(
            t[0], kind, kernel: [2, 3], stride: [2, 1], dilation: [1, 1], padBefore: [1, 1], padAfter: [0, 1],
            outputSize: [3, 6])
        },
        Reference([1, 3, 3, 6]) { index in
          let values = window(index)
          return switch kind {
          case .max: values.max()!
          case .average(let countsPadding): values.reduce(0, +) / Float(countsPadding ? 6 : values.count)
          }
        }, tolerance: 1e-6)
    }
  }

  /// Maps that are larger than a cache are computed in bands of rows, element-wise layers included.
  @Test func largeMapsAreComputedInBands() throws {
    let x = Reference([1, 2, 130, 128])
    let (first, second) = (Reference([8, 2, 3, 3], seed: 2), Reference([8, 8, 3, 3], seed: 3))
    let (gate, bias) = (Reference([1, 8, 1, 1], seed: 4), Reference([8], seed: 5))
    let window = Network.Window(kernel: .init(3), padTop: 1, padLeft: 1, padBottom: 1, padRight: 1)
    let found = try evaluate([x, gate], ["a.weight": first, "b.weight": second, "s": bias]) { network, t in
      var y = network.convolution(t[0], "a", filters: 8, window: window, bias: false)
      y = network.unary(.hardSwish, y)
      y = network.binary(.multiply, y, t[1])
      let rows = network.layerNormalization(
        network.transposed(y, [0, 2, 3, 1]), axis: 3, epsilon: 1, scale: network.constant("s", shape: [8]), bias: nil)
      y = network.binary(.add, y, network.transposed(rows, [0, 3, 1, 2]))
      return network.convolution(y, "b", filters: 8, window: window, bias: false)
    }
    var y = convolved(x, first, pad: (1, 1))
    for i in y.values.indices { y.values[i] *= min(max(y.values[i] / 6 + 0.5, 0), 1) }
    y = Reference(y.shape) { y[$0] * gate[0, $0[1], 0, 0] }
    y = Reference(y.shape) { index in
      let pixel = (0..<8).map { y[0, $0, index[2], index[3]] }
      let mean = pixel.reduce(0, +) / 8
      let variance = pixel.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 8
      return y[index] + (y[index] - mean) / (variance + 1).squareRoot() * bias[index[1]]
    }
    expect(found, convolved(y, second, pad: (1, 1)), tolerance: 1e-3)
  }

  /// A whole network of pictures with all of it runs, whatever the batch.
  @Test func networksOfTensorsDoNotDependOnTheBatch() throws {
    struct Net: Backbone {
      let name = "tensors"
      let inputSize = PixelSize(width: 20, height: 16)
      let preprocessing = Preprocessing.imagenet
      func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
        var x = network.convolution(
          network.pictures(channelsFirst: true), "a", filters: 12,
          window: .init(kernel: .init(3), stride: .init(2), padTop: 1, padLeft: 1, padBottom: 1, padRight: 1),
          bias: true)
        x = network.unary(.silu, x)
        var gate = network.reduce(.mean, x, axes: [2, 3], keepsAxes: true)
        gate = network.unary(
          .sigmoid, network.convolution(gate, "b", filters: 12, window: .init(kernel: .init(1)), bias: true))
        x = network.binary(.multiply, x, gate)
        x = network.convolution(
          x, "c", filters: 12, window: .init(kernel: .init(3), padTop: 1, padLeft: 1, padBottom: 1, padRight: 1),
          groups: 3, bias: true, activation: .relu, adding: x)
        let tokens = network.transposed(network.reshaped(x, to: [1, 12, 80]), [0, 2, 1])
        let normal = network.layerNormalization(tokens, axis: 2, epsilon: 1e-5, scale: nil, bias: nil)
        let y = network.linear(normal, "d", features: 16, bias: true, adding: nil)
        return BackboneOutputs(pooled: network.vector([network.reduce(.mean, y, axes: [1], keepsAxes: false)]))
      }
    }
    let net = Net()
    let extractor = try NetworkExtractor(net, weights: net.randomWeights(seed: 3))
    let pictures = (0..<7).map { picture in
      RGBImage(
        size: net.inputSize,
        pixels: (0..<net.inputSize.area * 3).map { UInt8(truncatingIfNeeded: ($0 &* 31 ^ ($0 >> 5)) &+ picture &* 17) })
    }
    let all = try extractor.extract(ImageBatch(pictures))
    for (picture, embedding) in zip(pictures, (0..<7).map { all[$0] }) {
      #expect(embedding.count == 16 && embedding.allSatisfy(\.isFinite))
      #expect(try extractor.extract(ImageBatch([picture]))[0] == embedding)
    }
    #expect(throws: SimilarityError.self) {
      try NetworkExtractor(net, weights: net.randomWeights(seed: 3), precision: .bf16)
    }
  }
}

extension Double {
  fileprivate var exponential: Double {
    // Halved until the series converges fast, then squared back.
    var (term, sum) = (1.0, 1.0)
    let x = self / 1024
    for i in 1...12 {
      term *= x / Double(i)
      sum += term
    }
    for _ in 0..<10 { sum *= sum }
    return sum
  }
}

extension TensorTests.Reference {
  fileprivate init(_ shape: [Int], _ values: [Float]) {
    self.init(shape, seed: 0)
    self.values = values
  }
}
