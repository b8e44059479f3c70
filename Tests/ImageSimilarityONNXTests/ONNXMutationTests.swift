import FoundationEssentials
import ImageSimilarityCore
import ImageSimilarityFiles
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
      guard tensors.count == graph.inputs.count else { continue }
      originals.append([UInt8](try Data(contentsOf: model)))
      inputs.append(tensors)
    }
    try check(originals) { mutation, index in
      try unsafe mutation.withUnsafeBytes { memory in
        let graph = try unsafe ONNXFile(MappedFile(bytes: memory, name: "mutation"), opsets: 1...21).graph
        for constants in 0...1 {
          var bound = graph
          let values = Dictionary(zip(graph.inputs.map(\.name), inputs[index])) { first, _ in first }
          for input in graph.inputs.dropFirst(constants) { bound.initializers[input.name] = values[input.name] }
          bound.inputs = Array(graph.inputs.prefix(constants))
          _ = try bound.evaluate(values)
        }
      }
    }
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
    #expect(refused > 0)
    if Self.seconds != nil { print("fuzzed \(Test.current?.name ?? ""): \(made) files, \(refused) refused") }
  }

  private func mutate(_ original: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
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
