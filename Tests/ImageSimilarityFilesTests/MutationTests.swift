import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

/// Files that are nearly right: a reader gives an error or a result, whatever they hold.
///
/// The environment variable `IMSIM_MUTATIONS` sets how many are made of each file; `IMSIM_FUZZ_SECONDS`, for how long instead.
@Suite struct MutationTests {
  private static let count = ProcessInfo.processInfo.environment["IMSIM_MUTATIONS"].flatMap { Int($0) } ?? 400
  private static let seconds = ProcessInfo.processInfo.environment["IMSIM_FUZZ_SECONDS"].flatMap(Double.init)

  @Test(arguments: Fixtures.readable + Fixtures.refused)
  func pyTorch(_ name: String) throws {
    try check(Fixtures.data(name), readWeights)
  }

  @Test func safetensors() throws {
    var writer = SafetensorsWriter(metadata: ["format": "pt"])
    writer.add("conv.weight", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    writer.add("half", .f16, shape: [2], bytes: Data([0, 0x3c, 0, 0x40]))
    writer.add("scalar", .i64, shape: [], bytes: bytes(1))
    try check(writer.data(), readWeights)
    try check(writer.data()) { file throws(SimilarityError) in
      let file = try SafetensorsFile(file, errorCode: .modelCorrupt)
      for tensor in file.tensors { _ = try? file.matrix(tensor).firstNonFiniteRow() }
    }
  }

  @Test func numPy() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "array.npy")
    try NumPyFile.write(EmbeddingMatrix([[1, 2, 3], [4, 5, 6]]), to: url)
    try check(Data(contentsOf: url)) { file throws(SimilarityError) in
      let matrix = try NumPyFile.read(file)
      #expect(matrix.rows * matrix.dimension * 2 <= file.count)
    }
  }

  private func readWeights(_ file: MappedFile) throws(SimilarityError) {
    let weights = try WeightsFile(file)
    for name in weights.names {
      guard let floats = try? weights.floats(name) else { continue }
      #expect(floats.count == weights.shape(of: name)?.reduce(1, *))
      #expect(floats.count * 2 <= file.count)
    }
  }

  /// Reads mutations of `original`. That the errors are of one type, the compiler sees to; each has a message.
  private func check(_ original: Data, _ read: (MappedFile) throws(SimilarityError) -> Void) throws {
    var generator = SplitMix64(state: UInt64(original.count))
    var (made, refused) = (0, 0)
    let start = ContinuousClock.now
    while Self.seconds.map({ start.duration(to: .now) < .seconds($0) }) ?? (made < Self.count) {
      made += 1
      let mutation = mutate(original, &generator)
      unsafe mutation.withUnsafeBytes { memory in
        do throws(SimilarityError) {
          try unsafe read(MappedFile(bytes: memory, name: "mutation"))
        } catch {
          refused += 1
          #expect(!error.message.isEmpty && error.message.utf8.count < 2000)
        }
      }
    }
    #expect(refused > 0)
    if Self.seconds != nil { print("fuzzed \(Test.current?.name ?? ""): \(made) files, \(refused) refused") }
  }

  private func mutate(_ original: Data, _ generator: inout SplitMix64) -> [UInt8] {
    var bytes = [UInt8](original)
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      let end = min(place + Int.random(in: 1...16, using: &generator), bytes.count)
      switch Int.random(in: 0..<7, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &generator) ?? 0
      case 2: bytes[place] = UInt8.random(in: 0...255, using: &generator)
      case 3: bytes.removeSubrange(place..<end)
      case 4: bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &generator))
      case 5: for i in place..<end { bytes[i] = [0, 0xff].randomElement(using: &generator) ?? 0 }
      default: bytes.removeSubrange(place...)
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
