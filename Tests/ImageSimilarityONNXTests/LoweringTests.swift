import Foundation
import ImageSimilarityCore
import ImageSimilarityNN
import ImageSimilarityONNX
import Testing

/// What exporters write in many nodes becomes one layer, and gives the same numbers.
@Suite struct LoweringTests {
  /// A graph of pictures `[1, 3, 8, 8]` named x, whose result is named y. A node is "result = operation(inputs)"; numbers among
  /// the inputs are constants.
  private func network(
    _ lines: String, attributes: [String: [String: ONNXAttribute]] = [:], constants: [String: ONNXTensor] = [:],
    outputTensor: String? = "y"
  ) throws -> ONNXNetwork {
    var graph = ONNXGraph(
      name: "test", opset: 17,
      inputs: [
        ONNXValueInfo(name: "x", elementType: .float, shape: [.size(1), .size(3), .size(8), .size(8)])
      ], outputs: [ONNXValueInfo(name: "y", elementType: .float, shape: nil)], initializers: constants, nodes: [])
    for line in lines.split(separator: "\n") {
      let parts = line.split(whereSeparator: { " =(),".contains($0) }).map(String.init)
      for input in parts.dropFirst(2) {
        if let number = Float(input) { graph.initializers[input] = ONNXTensor(shape: [], floats: [number]) }
      }
      graph.nodes.append(
        ONNXNode(
          name: "node \(parts[0])", operation: parts[1], domain: "", inputs: Array(parts.dropFirst(2)),
          outputs: [parts[0]], attributes: attributes[parts[0]] ?? [:]))
    }
    return try ONNXNetwork(
      graph, name: "test.onnx", path: "", digest: "", outputTensor: outputTensor, preprocessing: .unit)
  }

  private func layers(_ network: ONNXNetwork) -> [NetworkBuilder.Layer] {
    var builder = NetworkBuilder(inputSize: network.inputSize)
    _ = network.build(&builder)
    return builder.nodes.map(\.layer)
  }

  private func tensorLayers(_ network: ONNXNetwork) -> Int {
    layers(network).count { if case .tensor = $0 { true } else { false } }
  }

  private func embedding(_ network: ONNXNetwork) throws -> [Float] {
    try NetworkExtractor(network).extract(ImageBatch([Self.picture]))[0]
  }

  private static let picture = RGBImage(
    size: PixelSize(width: 8, height: 8), pixels: (0..<8 * 8 * 3).map { UInt8(truncatingIfNeeded: $0 &* 37) })

  /// The mean of a function over the pixels of each channel.
  private func mean(_ f: (Double) -> Double) -> [Double] {
    (0..<3).map { channel in
      (0..<64).reduce(0) { $0 + f(Double(Self.picture.pixels[$1 * 3 + channel]) / 255) } / 64
    }
  }

  @Test func activationsOfManyNodesAreOneLayer() throws {
    let cases: [(String, (Double) -> Double)] = [
      (
        "a = Div(x, 1.4142135)\nb = Erf(a)\nc = Add(b, 1)\nd = Mul(x, c)\ny = Mul(d, 0.5)",
        { $0 / 2 * (1 + erf($0 / 2.0.squareRoot())) }
      ),
      ("a = Sigmoid(x)\ny = Mul(x, a)", { $0 / (1 + exp(-$0)) }),
      ("a = Add(x, 3)\nb = Clip(a, 0, 6)\nc = Mul(x, b)\ny = Div(c, 6)", { $0 * min(max($0 + 3, 0), 6) / 6 }),
      ("a = Softplus(x)\nb = Tanh(a)\ny = Mul(x, b)", { $0 * tanh(log(1 + exp($0))) }),
    ]
    for (lines, function) in cases {
      let network = try network(lines)
      #expect(tensorLayers(network) == 1, "\(lines)")
      let found = try embedding(network)
      for (value, expected) in zip(found, mean(function)) {
        #expect(abs(Double(value) - expected) < 1e-6, "\(lines)")
      }
    }
  }

  /// A value that something else reads too is still there for it.
  @Test func valuesWithSeveralReadersStay() throws {
    let weights = ONNXTensor(shape: [3, 3, 1, 1], floats: [1, 0, 0, 0, 2, 0, 0, 0, 3])
    let network = try network(
      "a = Conv(x, w)\nb = Relu(a)\nc = Neg(a)\ny = Add(b, c)", constants: ["w": weights])
    // max(0, a) - a is 0 for what is not negative.
    #expect(try embedding(network).allSatisfy { $0 == 0 })
  }

  @Test func normalizationsActivationsAndResidualsAreFused() throws {
    let weights = ONNXTensor(shape: [3, 3, 1, 1], floats: [1, 0, 0, 0, 2, 0, 0, 0, 3])
    let vector = { (values: [Float]) in ONNXTensor(shape: [3], floats: values) }
    let network = try network(
      "a = Conv(x, w)\nb = BatchNormalization(a, s, t, m, v)\nc = Add(x, b)\ny = Clip(c, 0.1, 2)",
      constants: [
        "w": weights, "s": vector([1, 2, 1]), "t": vector([0.5, 0, -1]), "m": vector([0, 1, 0]),
        "v": vector([1, 4, 1]),
      ])
    let recorded = layers(network)
    #expect(recorded.count == 2)  // And the mean over the pixels.
    guard case .convolution(let layer) = recorded[0] else {
      Issue.record("expected a convolution")
      return
    }
    #expect(layer.residual != nil && layer.activation == .clamp(low: 0.1, high: 2))
    let found = try embedding(network)
    let expected = (0..<3).map { channel in
      mean { x in
        let (scale, shift, m, v) = [(1.0, 0.5, 0.0, 1.0), (2, 0, 1, 4), (1, -1, 0, 1)][channel]
        let y = (x * Double(channel + 1) - m) / (v + 1e-5).squareRoot() * scale + shift + x
        return min(max(y, 0.1), 2)
      }[channel]
    }
    for (value, expected) in zip(found, expected) { #expect(abs(Double(value) - expected) < 1e-5) }
  }

  @Test func paddingBecomesTheConvolutions() throws {
    let network = try network(
      "a = Pad(x, p)\ny = Conv(a, w)",
      constants: [
        "p": ONNXTensor(shape: [8], integers: [0, 0, 1, 2, 0, 0, 1, 0]),
        "w": ONNXTensor(shape: [2, 3, 3, 3], floats: (0..<54).map { Float($0 % 5) / 10 }),
      ])
    #expect(tensorLayers(network) == 0)
  }

  /// What the last classifier reads, through whatever comes after it.
  @Test func embeddingIsWhatTheClassifierReads() throws {
    let matrix = ONNXTensor(shape: [3, 5], floats: (0..<15).map { Float($0) / 15 })
    let bias = ONNXTensor(shape: [5], floats: [1, 2, 3, 4, 5])
    let head = ONNXTensor(shape: [5, 3, 1, 1], floats: (0..<15).map { Float($0) / 15 })
    for (lines, name) in [
      ("p = GlobalAveragePool(x)\nf = Flatten(p)\ny = Gemm(f, m, b)", "f"),
      ("p = GlobalAveragePool(x)\nf = Flatten(p)\ng = MatMul(f, m)\nh = Add(g, b)\ny = Softmax(h)", "f"),
      ("r = Relu(x)\nc = Conv(r, h)\np = GlobalAveragePool(c)\nf = Flatten(p)\ny = Softmax(f)", "r"),
      ("p = GlobalAveragePool(x)\ny = Flatten(p)", "y"),
    ] {
      let network = try network(lines, constants: ["m": matrix, "b": bias, "h": head], outputTensor: nil)
      #expect(network.embedding == name, "\(lines): \(network.embeddingReason)")
      #expect(try embedding(network).count == 3)
    }
  }

  @Test func allNodesWithoutLayersAreNamed() throws {
    let error = #expect(throws: SimilarityError.self) {
      try network("a = Det(x)\nb = Relu(a)\nc = NonMaxSuppression(x)\ny = Add(b, c)")
    }
    let message = error?.message ?? ""
    #expect(
      ["2 nodes", "'node a'", "Det", "'node c'", "NonMaxSuppression", "opset 17"].allSatisfy { message.contains($0) })
  }
}
