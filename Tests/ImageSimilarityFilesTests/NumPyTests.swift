import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

@Suite struct NumPyTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(_ header: String, version: UInt8 = 1, data: Data) throws -> EmbeddingMatrix {
    let count = UInt8(header.utf8.count)
    let file =
      Data([0x93]) + Data("NUMPY".utf8) + [version, 0, count, 0] + (version == 1 ? [] : [0, 0]) + Data(header.utf8)
    return try NumPyFile.read(contentsOf: folder.file("array.npy", file + data))
  }

  /// What `numpy.save` writes of the same array, but for the number of spaces.
  @Test func layout() throws {
    let url = folder.url.appending(path: "array.npy")
    try NumPyFile.write(EmbeddingMatrix([[1, 2, 3], [4, 5, 6]]), to: url)
    let data = try Data(contentsOf: url)
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    #expect(data.prefix(10) == Data([0x93]) + Data("NUMPY".utf8) + [1, 0, 118, 0])
    #expect(data[10..<128] == Data((header.padding(toLength: 117, withPad: " ", startingAt: 0) + "\n").utf8))
    let elements = bytes([1, 2, 3, 4, 5, 6] as [Float])
    #expect(data[128...] == elements)
  }

  @Test func appendedRows() throws {
    let url = folder.url.appending(path: "array.npy")
    var writer = try NumPyWriter(url, dimension: 2)
    try writer.append(EmbeddingMatrix([[1, 2]]))
    try writer.append(EmbeddingMatrix(rows: 0, dimension: 2, values: []))
    try writer.append(EmbeddingMatrix([[3, 4], [5, 6]]))
    #expect(writer.rows == 3)
    #expect(!FileManager.default.fileExists(atPath: url.path))
    try writer.finish()
    let matrix = try NumPyFile.read(contentsOf: url)
    #expect(matrix.rows == 3 && matrix.dimension == 2 && matrix[2] == [5, 6])
  }

  @Test func nothingRemainsOfAFileThatIsNotFinished() throws {
    do {
      var writer = try NumPyWriter(folder.url.appending(path: "array.npy"), dimension: 1)
      try writer.append(EmbeddingMatrix([[1]]))
    }
    #expect(try folder.contents == [])
  }

  @Test func readsWhatOthersWrite() throws {
    let single: [Float] = [1, 2, 3, 4, 5, 6]
    let usual = try read("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", data: bytes(single))
    #expect(usual.rows == 3 && usual[1] == [3, 4])
    let reordered = try read(
      #"{"shape":(2,3,),"fortran_order":False,"descr":"<f8"}"#, version: 2, data: bytes(single.map(Double.init)))
    #expect(reordered.rows == 2 && reordered[1] == [4, 5, 6])
    let half = try read(
      "{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }", version: 3, data: Data([0, 0x3c, 0, 0x40]))
    #expect(half[0] == [1, 2])
  }

  @Test(arguments: [
    "", "{", "{}", "{'descr': '<f4'}", "{'descr': '>f4', 'fortran_order': False, 'shape': (1, 1), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387905, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 1), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), 'x': 1}",
    "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1)}",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1)}",
  ])
  func refusesHeader(_ header: String) throws {
    let error = #expect(throws: SimilarityError.self) { try read(header, data: Data([0, 0, 0, 0])) }
    #expect(error?.code == .invalidArgument)
  }

  @Test func refusesBrokenFrames() throws {
    let url = folder.url.appending(path: "array.npy")
    try NumPyFile.write(EmbeddingMatrix([[1, 2]]), to: url)
    let whole = try Data(contentsOf: url)
    for count in 0..<whole.count {
      let part = try folder.file("part.npy", whole.prefix(count))
      #expect(throws: SimilarityError.self) { try NumPyFile.read(contentsOf: part) }
    }
    #expect(throws: SimilarityError.self) { try read("{}", version: 9, data: Data()) }
  }
}
