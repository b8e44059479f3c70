import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityONNX
import Testing

/// Network files that are nearly right: each is a network or an error, whatever it holds.
///
/// The environment variable `IMSIM_MUTATIONS` sets how many are made; `IMSIM_FUZZ_SECONDS`, for how long instead.
@Suite struct ONNXMutationTests {
  private static let environment = ProcessInfo.processInfo.environment
  private static let count = environment["IMSIM_MUTATIONS"].flatMap { Int($0) } ?? 1000
  private static let seconds = environment["IMSIM_FUZZ_SECONDS"].flatMap(Double.init)
  private static let operators = URL(fileURLWithPath: "/usr/share/libonnx-testdata/data/node")
  private static let hasOperators = FileManager.default.fileExists(atPath: operators.path)

  @Test func networks() throws {
    try WritingFixtures.withFile { url in
      try WritingFixtures.allLayers().writeONNX(to: url)
      let original = [UInt8](try Data(contentsOf: url))
      try check([original]) { mutation, _ in
        try Data(mutation).write(to: url)
        _ = try ONNXNetwork(contentsOf: url)
      }
    }
  }

  /// Networks as exporters and quantisers write them.
  @Test func exportedNetworks() throws {
    let originals = try [
      "mobilenet-v3-script", "deit-script", "qdq-squeezenet", "shapes", "half-int32-data", "channels-last-script",
    ].map { [UInt8](try Data(contentsOf: Fixtures.networks.appending(path: "\($0).onnx"))) }
    try WritingFixtures.withFile { url in
      try check(originals) { mutation, _ in
        try Data(mutation).write(to: url)
        _ = try NetworkExtractor(ONNXNetwork(contentsOf: url))
      }
    }
  }

  /// Graphs of one operator each, with attributes and shapes that change.
  @Test(.enabled(if: hasOperators, "needs Debian's package libonnx-testdata"))
  func singleOperators() throws {
    var originals: [[UInt8]] = []
    var inputs: [[ONNXTensor]] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: Self.operators.path).sorted() {
      let folder = Self.operators.appending(path: name)
      let model = folder.appending(path: "model.onnx")
      guard let graph = try? ONNXFile(contentsOf: model, opsets: 1...21).graph, graph.nodes.count == 1 else { continue }
      let tensors = graph.inputs.indices.compactMap { index in
        try? ONNXTensor(contentsOf: folder.appending(path: "test_data_set_0/input_\(index).pb"))
      }
      guard tensors.count == graph.inputs.count, (try? evaluate(graph, tensors, constants: true)) != nil else {
        continue
      }
      originals.append([UInt8](try Data(contentsOf: model)))
      inputs.append(tensors)
    }
    var generator = SplitMix64(state: 8)
    try check(originals) { mutation, index in
      let tensors = inputs[index].map { changed($0, &generator) }
      let isConstant = Bool.random(using: &generator)
      try unsafe mutation.withUnsafeBytes { memory in
        let graph = try unsafe ONNXFile(MappedFile(bytes: memory, name: "mutation"), opsets: 1...21).graph
        try evaluate(graph, tensors, constants: isConstant)
      }
    }
  }

  /// - Parameter constants: whether even the first input is part of the graph.
  private func evaluate(_ graph: ONNXGraph, _ inputs: [ONNXTensor], constants: Bool) throws {
    var graph = graph
    let values = Dictionary(zip(graph.inputs.map(\.name), inputs)) { first, _ in first }
    for input in graph.inputs.dropFirst(constants ? 0 : 1) { graph.initializers[input.name] = values[input.name] }
    graph.inputs = Array(graph.inputs.prefix(constants ? 0 : 1))
    _ = try graph.evaluate(values)
  }

  /// Sizes, axes and indices that are nearly right.
  private func changed(_ tensor: ONNXTensor, _ generator: inout SplitMix64) -> ONNXTensor {
    guard tensor.elementType == .int64, tensor.elementCount > 0, Bool.random(using: &generator),
      var integers = try? tensor.integers()
    else { return tensor }
    let hostile: [Int64] = [.min, .min + 1, -1 << 32, -2, -1, 0, 1, 2, 1 << 20, 1 << 32, .max - 1, .max]
    integers[Int.random(in: integers.indices, using: &generator)] = hostile.randomElement(using: &generator) ?? 0
    return ONNXTensor(shape: tensor.shape, integers: integers)
  }

  private func check(_ originals: [[UInt8]], _ read: ([UInt8], _ original: Int) throws -> Void) throws {
    var generator = SplitMix64(state: 7)
    var (made, refused) = (0, 0)
    let start = ContinuousClock.now
    while Self.seconds.map({ start.duration(to: .now) < .seconds($0) }) ?? (made < Self.count) {
      made += 1
      let index = Int.random(in: originals.indices, using: &generator)
      let mutation = mutate(originals[index], &generator)
      do {
        try read(mutation, index)
      } catch let error as SimilarityError {
        refused += 1
        #expect(!error.message.isEmpty && error.message.utf8.count < 10_000)
      }
    }
    #expect(refused > 0 && refused < made)
    if Self.seconds != nil { print("fuzzed \(Test.current?.name ?? ""): \(made) files, \(refused) refused") }
  }

  private func mutate(_ original: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 0...3, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: bytes.indices, using: &generator)
      switch Int.random(in: 0..<8, using: &generator) {
      case 0...2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 3...5: bytes[place] = [0, 1, 2, 3, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
      case 6: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      default: bytes.removeSubrange(place..<min(place + Int.random(in: 1...4, using: &generator), bytes.count))
      }
    }
    return bytes
  }
}

/// A small generator with a seed (Steele, Lea, Flood 2014).
private struct SplitMix64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
