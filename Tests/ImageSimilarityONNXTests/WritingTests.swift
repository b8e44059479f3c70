import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityONNX
import Testing

/// What written files say. Scripts/goldens/onnx_out.py runs them.
@Suite struct WritingTests {
  private func written(_ extractor: NetworkExtractor, _ options: ONNXExportOptions = .init()) throws -> ONNXGraph {
    try WritingFixtures.withFile { url in
      try extractor.writeONNX(to: url, options: options)
      return try ONNXFile(contentsOf: url).graph
    }
  }

  private func node(_ name: String, in graph: ONNXGraph) throws -> ONNXNode {
    try #require(graph.nodes.first { $0.outputs == [name] }, "no node gives \(name)")
  }

  private func ints(_ node: ONNXNode) -> [String: [Int64]] {
    node.attributes.compactMapValues { attribute in
      switch attribute {
      case .int(let value): [value]
      case .ints(let values): values
      default: nil
      }
    }
  }

  @Test func inputsAndOutputs() throws {
    let graph = try written(WritingFixtures.allLayers())
    #expect(graph.opset == 17)
    #expect(graph.name == "all-layers")
    #expect(
      graph.inputs == [
        ONNXValueInfo(
          name: "image", elementType: .uint8, shape: [.symbol("batch"), .size(7), .size(10), .size(3)])
      ])
    #expect(
      graph.outputs == [
        ONNXValueInfo(name: "embedding", elementType: .float, shape: [.symbol("batch"), .size(3)])
      ])
    #expect(graph.nodes.allSatisfy { $0.domain.isEmpty && $0.outputs.count == 1 })
  }

  @Test func everyLayerBecomesItsOperator() throws {
    let graph = try written(WritingFixtures.allLayers())
    #expect(
      graph.nodes.map(\.operation) == [
        "Cast", "Transpose", "Gather", "Mul", "Add", "Conv", "Clip", "Conv", "Relu", "Conv", "Conv", "Add", "Clip",
        "MaxPool", "MaxPool", "Concat", "GlobalAveragePool", "Flatten", "Gemm", "Unsqueeze", "Conv", "Clip", "Conv",
        "Clip", "Flatten", "Gemm",
      ])

    // TensorFlow's "SAME" with stride 2: 7 rows need a zero on each side, 10 columns one on the right.
    let stem = try node("stem/conv", in: graph)
    #expect(
      ints(stem) == ["kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1], "group": [1]])
    #expect(stem.inputs == ["image/preprocessed", "stem.weight", "stem.bias"])
    #expect(ints(try node("spatial/conv", in: graph))["group"] == [4])
    #expect(ints(try node("grouped", in: graph))["group"] == [2])
    #expect(try node("point/sum", in: graph).inputs == ["point/conv", "stem"])
    #expect(
      ints(try node("maxpool.5", in: graph)) == ["kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 1]])
    #expect(ints(try node("concat.7", in: graph)) == ["axis": [1]])

    // A limit that is infinite is left out.
    let limits = { (name: String) in try node(name, in: graph).inputs.dropFirst().map { $0 } }
    #expect(try limits("stem") == ["stem/low", "stem/high"])
    #expect(try limits("point") == ["", "point/high"])
    #expect(try limits("last") == ["last/low"])
    #expect(try graph.initializers["point/high"]?.floats() == [1])
    #expect(graph.initializers["point/high"]?.shape == [])
  }

  @Test func preprocessingIsInside() throws {
    let graph = try written(WritingFixtures.allLayers())
    #expect(ints(try node("image/channels_first", in: graph)) == ["perm": [0, 3, 1, 2]])
    #expect(try graph.initializers["image/blue_first"]?.integers() == [2, 1, 0])
    #expect(graph.initializers["image/scale"]?.shape == [3, 1, 1])
    #expect(try graph.initializers["image/shift"]?.floats() == [-104, -117, -123])

    let bundled = try written(.bundled())
    #expect(bundled.nodes.prefix(5).map(\.operation) == ["Cast", "Transpose", "Mul", "Add", "Conv"])
    #expect(try bundled.initializers["image/scale"]?.floats() == [1 / 128, 1 / 128, 1 / 128])
  }

  @Test func weightsAreTheFoldedOnes() throws {
    let extractor = try WritingFixtures.allLayers()
    let network = try extractor.folded()
    let (graph, halves) = try (written(extractor), written(extractor, .init(weightType: .float16)))
    var layers = 0
    for (index, layer) in network.nodes.enumerated() {
      guard let expected = try network.weights(at: index) else { continue }
      let weights = try #require(graph.initializers["\(layer.name).weight"], "\(layer.name)")
      #expect(weights.elementType == .float)
      #expect(weights.shape == expected.shape)
      #expect(try weights.floats() == expected.values)
      #expect(try graph.initializers["\(layer.name).bias"]?.floats() == expected.bias)

      let rounded = try #require(halves.initializers["\(layer.name).weight"])
      #expect(rounded.elementType == .float16)
      for (x, y) in zip(try rounded.floats(), expected.values) { #expect(abs(x - y) <= max(abs(y) * 0x1p-11, 0x1p-25)) }
      #expect(try halves.initializers["\(layer.name).bias"]?.floats() == expected.bias)
      let cast = try node("\(layer.name).weight/float", in: halves)
      #expect(cast.operation == "Cast")
      #expect(cast.inputs == ["\(layer.name).weight"])
      #expect(ints(cast) == ["to": [1]])
      layers += 1
    }
    // Two of them share their weights' name.
    #expect(layers == 8)
  }

  @Test func transforms() throws {
    let projection = try WritingFixtures.projection(2, from: 3)
    let graph = try written(
      WritingFixtures.allLayers(), .init(transforms: [.normalization, .projection(projection), .normalization]))
    #expect(
      graph.nodes.suffix(7).map(\.operation) == ["ReduceL2", "Max", "Div", "Gemm", "ReduceL2", "Max", "Div"])
    #expect(graph.outputs[0].shape == [.symbol("batch"), .size(2)])
    #expect(graph.initializers["projection.matrix"]?.shape == [2, 3])
    #expect(try graph.initializers["projection.matrix"]?.floats() == projection.matrix[0] + projection.matrix[1])
    #expect(try graph.initializers["projection.bias"]?.floats() == projection.bias)
    #expect(graph.nodes.last?.outputs == ["embedding"])
  }

  @Test func aMeanIsPartOfTheBias() throws {
    let matrix = EmbeddingMatrix([[1, 2, 3], [0, -1, 0.5]])
    #expect(try LinearProjection(matrix: matrix, mean: [1, 10, 100]).bias == [-321, -40])
    #expect(try LinearProjection(matrix: matrix).bias == [0, 0])
    for wrong in [
      { try LinearProjection(matrix: matrix, mean: [1, 2]) }, { try LinearProjection(matrix: matrix, bias: [1]) },
    ] {
      #expect(throws: SimilarityError.self) { try wrong() }
    }
    let error = #expect(throws: SimilarityError.self) {
      try LinearProjection(matrix: EmbeddingMatrix([[1, .nan]]))
    }
    #expect(error?.code == .notFinite)
  }

  @Test func projectionOfOtherVectorsIsRefused() throws {
    let transforms: [EmbeddingTransform] = try [
      .projection(WritingFixtures.projection(2, from: 3)), .projection(WritingFixtures.projection(4, from: 3)),
    ]
    try WritingFixtures.withFile { url in
      let error = #expect(throws: SimilarityError.self) {
        try WritingFixtures.allLayers().writeONNX(to: url, options: .init(transforms: transforms))
      }
      #expect(error?.code == .dimensionMismatch)
      #expect(error?.message.contains("3-d vectors cannot follow an embedding of 2 elements") == true)
    }
  }

  @Test func metadataSaysWhatPicturesItTakes() throws {
    let extractor = try NetworkExtractor.bundled(resize: .crop)
    let projection = try WritingFixtures.projection(2, from: 1280)
    let fields = try WritingFixtures.withFile { url in
      try extractor.writeONNX(
        to: url, options: .init(weightType: .float16, transforms: [.projection(projection), .normalization]))
      return try protobufFields(Array(Data(contentsOf: url)))
    }
    #expect(fields[2] == [Array("ImageSimilarityKit".utf8)])
    let properties = Dictionary(
      uniqueKeysWithValues: try #require(fields[14]).map { entry in
        let pair = protobufFields(entry)
        return (
          String(decoding: pair[1]?.first ?? [], as: UTF8.self), String(decoding: pair[2]?.first ?? [], as: UTF8.self)
        )
      })
    #expect(properties["input_size"] == "224x224")
    #expect(properties["resize"] == "crop")
    #expect(properties["background"] == "255,255,255")
    #expect(properties["weight_type"] == "float16")
    #expect(properties["transforms"] == "projection 2x1280,normalization")
    let fingerprint = try #require(properties["fingerprint"])
    #expect(
      try JSONDecoder().decode(ExtractorFingerprint.self, from: Data(fingerprint.utf8))
        == extractor.specification.fingerprint)
    let documentation = String(decoding: try #require(fields[6]?.first), as: UTF8.self)
    #expect(documentation.contains("the centre cut out"))
  }

  /// A message's fields of bytes, by their numbers.
  private func protobufFields(_ bytes: [UInt8]) -> [Int: [[UInt8]]] {
    var fields: [Int: [[UInt8]]] = [:]
    var position = 0
    func varint() -> Int {
      var (value, shift) = (0, 0)
      while position < bytes.count {
        let byte = Int(bytes[position])
        position += 1
        value |= (byte & 127) << shift
        if byte < 128 { break }
        shift += 7
      }
      return value
    }
    while position < bytes.count {
      let key = varint()
      let count = varint()
      guard key & 7 == 2 else { continue }
      fields[key >> 3, default: []].append(Array(bytes[position..<position + count]))
      position += count
    }
    return fields
  }

  @Test func theSameNetworkGivesTheSameBytes() throws {
    let extractor = try WritingFixtures.allLayers()
    let files = try (0..<2).map { _ in
      try WritingFixtures.withFile { url in
        try extractor.writeONNX(to: url)
        return try Data(contentsOf: url)
      }
    }
    #expect(files[0] == files[1])
  }

  @Test func weightsTooLargeForHalfPrecision() throws {
    struct Large: Backbone {
      let name = "large"
      let inputSize = PixelSize(width: 2, height: 2)
      let preprocessing = Preprocessing.imagenet

      func build(_ network: inout NetworkBuilder) -> BackboneOutputs {
        let x = network.convolution(network.input, "only", channels: 1, kernel: 1)
        return BackboneOutputs(pooled: network.globalAveragePool(x))
      }
    }
    var writer = SafetensorsWriter()
    writer.add("only.weight", shape: [1, 3, 1, 1], floats: [1, 65519, 65520])
    try WritingFixtures.withFile { url in
      try writer.write(to: url)
      let extractor = try NetworkExtractor(Large(), weights: WeightsFile(contentsOf: url))
      try WritingFixtures.withFile { url in
        try Data("what was there".utf8).write(to: url)
        let error = #expect(throws: SimilarityError.self) {
          try extractor.writeONNX(to: url, options: .init(weightType: .float16))
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains("element 2 of 'only.weight' is 65520.0") == true, "\(error?.message ?? "")")
        #expect(try Data(contentsOf: url) == Data("what was there".utf8))
        #expect(throws: Never.self) { try extractor.writeONNX(to: url) }
        #expect(try ONNXFile(contentsOf: url).graph.initializers["only.weight"]?.floats() == [1, 65519, 65520])
      }
    }
  }

  @Test func placesThatCannotBeWritten() throws {
    let url = URL(fileURLWithPath: "/proc/there-is-no-such-folder/network.onnx")
    let error = #expect(throws: SimilarityError.self) { try WritingFixtures.allLayers().writeONNX(to: url) }
    #expect(error?.code == .inputOutput)
  }
}
