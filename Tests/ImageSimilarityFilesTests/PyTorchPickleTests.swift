import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

/// Pickles that torch.save does not write today, or never would, in the old layout, which wraps them least.
@Suite struct PyTorchPickleTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A file whose object is `pickle`, and whose storage "0" holds the floats.
  private func open(_ pickle: Data, storage: [Float] = [1, 2, 3, 4, 5, 6]) throws -> WeightsFile {
    let magic = Data([0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e])
    let version = Data([0x80, 2]) + "M" + [0xe9, 0x03] + "."
    let system = Data([0x80, 2]) + "}."
    let keys = Data([0x80, 2]) + "]" + string("0") + "a."
    let data = magic + version + system + Data([0x80, 2]) + pickle + "." + keys + bytes(UInt64(storage.count))
    return try WeightsFile(contentsOf: folder.file(UUID().uuidString, data + bytes(storage)))
  }

  private func string(_ text: String) -> Data { "X" + bytes(UInt32(text.utf8.count)) + text }

  private func integer(_ value: Int) -> Data { Data([0x8a, 8]) + bytes(value) }

  private func tuple(_ values: [Int]) -> Data { "(" + values.map(integer).joined() + "t" }

  private func tensor(
    offset: Int = 0, shape: [Int], strides: [Int], count: Int = 6, key: String = "0", type: String = "FloatStorage"
  ) -> Data {
    let id = "((" + string("storage") + "ctorch\n\(type)\n" + string(key) + string("cpu") + integer(count) + "NtQ"
    return "ctorch._utils\n_rebuild_tensor\n" + id + integer(offset) + tuple(shape) + tuple(strides) + "tR"
  }

  private func dictionary(_ value: Data, name: String = "a") -> Data { "}" + string(name) + value + "s" }

  private func expectRefusal(_ pickle: Data, _ reason: String, location: SourceLocation = #_sourceLocation) {
    let error = #expect(throws: SimilarityError.self, sourceLocation: location) { try open(pickle) }
    #expect(error?.code == .weightsCorrupt, sourceLocation: location)
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")", sourceLocation: location)
  }

  private func expectRefusal(_ pickle: String, _ reason: String, location: SourceLocation = #_sourceLocation) {
    expectRefusal(Data(pickle.utf8), reason, location: location)
  }

  @Test func plainTensor() throws {
    let file = try open(dictionary(tensor(offset: 1, shape: [2, 2], strides: [2, 1])))
    #expect(file.names == ["a"])
    #expect(file.shape(of: "a") == [2, 2])
    #expect(try file.floats("a") == [2, 3, 4, 5])
  }

  /// Python 2 writes names as byte strings, and an ordered dictionary as a call with a list of lists.
  @Test func python2() throws {
    let name = "U" + Data([1]) + "a"
    let pair = "(" + name + tensor(shape: [6], strides: [1]) + "l"
    let file = try open("ccollections\nOrderedDict\n](" + pair + "e" + Data([0x85]) + "R")
    #expect(try file.floats("a") == [1, 2, 3, 4, 5, 6])
  }

  @Test func viewsStayWithinTheirStorage() throws {
    #expect(try open(dictionary(tensor(shape: [3], strides: [2]))).floats("a") == [1, 3, 5])
    #expect(try open(dictionary(tensor(offset: 6, shape: [0], strides: [1]))).floats("a") == [])
    #expect(try open(dictionary(tensor(offset: 5, shape: [1, 1], strides: [.max, .max]))).floats("a") == [6])
    #expect(try open(dictionary(tensor(shape: [3, 1], strides: [2, .max]))).floats("a") == [1, 3, 5])
    #expect(try open(dictionary(tensor(shape: [2, 3], strides: [0, 1]))).floats("a") == [1, 2, 3, 1, 2, 3])
    let outside = [
      tensor(shape: [7], strides: [1]), tensor(offset: 1, shape: [6], strides: [1]), tensor(shape: [4], strides: [2]),
      tensor(offset: -1, shape: [1], strides: [1]), tensor(shape: [-1], strides: [1]),
      tensor(shape: [2], strides: [-1]), tensor(offset: .max, shape: [1], strides: [1]),
      tensor(offset: 7, shape: [0], strides: [1]), tensor(shape: [2], strides: [.max]),
      tensor(shape: [3, 2], strides: [.max / 2, 1]), tensor(shape: [.max, .max], strides: [0, 0]),
      tensor(shape: [1 << 40], strides: [0]), tensor(shape: [7], strides: [0]), tensor(shape: [2, 2], strides: [1]),
      tensor(shape: [Int](repeating: 1, count: 65), strides: [Int](repeating: 1, count: 65)),
    ]
    for tensor in outside { expectRefusal(dictionary(tensor), "does not fit into its storage of 6 elements") }
  }

  @Test func storagesAreAsTheTensorsSay() {
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], count: 7)), "has 6 elements; expected 7")
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], count: -1)), "something else than a storage")
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], count: .max)), "elements")
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], key: "1")), "no tensor refers to")
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], type: "DoubleStorage")), "bytes were expected")
    expectRefusal(dictionary(tensor(shape: [1], strides: [1], type: "load")), "\"torch.load\"")
  }

  @Test func refusesToCall() {
    expectRefusal("cos\nsystem\n" + string("ls") + Data([0x85]) + "R", "\"os.system\", which is refused")
    expectRefusal("cbuiltins\neval\n" + string("1") + Data([0x85]) + "R", "\"builtins.eval\"")
    // With names from the stack, as protocol 4 has it.
    expectRefusal(string("os") + string("system") + Data([0x93]), "\"os.system\"")
    expectRefusal("c\u{1b}[2J\nx\n", #""\u{1B}[2J.x""#)
    expectRefusal("cos.system\n" + String(repeating: "x", count: 5000), "a line of at most 1000 bytes")
    // Instructions of protocol 0 that would run code.
    expectRefusal("(" + string("ls") + "ios\nsystem\n", "unknown instruction 0x69")
    expectRefusal("(cos\nsystem\n", "os.system")
  }

  @Test func hostilePrograms() {
    expectRefusal("", "damaged")
    expectRefusal("N", "no state dictionary")
    for program in [
      "0", "1", "2", "a", "e", "s", "u", "b", "t", "R", "Q", "(0", "(a", "(2", "N(t", "h\u{5}", "NNR", "NQ", "]NNs",
    ] {
      expectRefusal(program, "is not a valid PyTorch file")
    }
    // Deep nesting, and a list that contains itself.
    expectRefusal(
      Data(repeating: UInt8(ascii: "]"), count: 100_000) + Data(repeating: UInt8(ascii: "a"), count: 99_999),
      "no state dictionary")
    expectRefusal("N" + Data(repeating: 0x85, count: 100_000), "no state dictionary")
    expectRefusal("]q\u{0}h\u{0}a", "no state dictionary")
    expectRefusal(dictionary("}q\u{0}" + string("state_dict") + "h\u{0}s", name: "state_dict"), "no state dictionary")
    // More instructions than any file of tensors needs.
    expectRefusal(Data(repeating: UInt8(ascii: "N"), count: 1 << 20), "instructions")
    // A string that is longer than the file.
    expectRefusal("X" + bytes(UInt32.max), "bytes were expected")
    expectRefusal(Data([0x8d]) + bytes(UInt64.max), "out of range")
    expectRefusal("X" + bytes(UInt32(1)) + Data([0xff]), "not UTF-8")
  }

  @Test func namesAreUnique() {
    let one = tensor(shape: [1], strides: [1])
    expectRefusal("}" + string("a") + one + "s" + string("a") + one + "s", "appears twice")
  }
}

private func + (left: Data, right: String) -> Data { left + Data(right.utf8) }
private func + (left: String, right: Data) -> Data { Data(left.utf8) + right }

extension Sequence<Data> {
  fileprivate func joined() -> Data { reduce(into: Data()) { $0.append($1) } }
}
