import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

@Suite struct SafetensorsTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func open(_ data: Data) throws -> SafetensorsFile {
    try SafetensorsFile(contentsOf: folder.file("\(UUID().uuidString).safetensors", data))
  }

  private func open(_ header: String, data: [UInt8] = []) throws -> SafetensorsFile {
    return try open(bytes(UInt64(header.utf8.count)) + Data(header.utf8) + Data(data))
  }

  @Test func roundTrip() throws {
    var writer = SafetensorsWriter(metadata: ["format": "pt", "a \"quote\"\n": "ü\u{1}\\"])
    writer.add("bytes", .u8, shape: [3], bytes: Data([7, 8, 9]))
    writer.add("half", .f16, shape: [2], bytes: Data([0x00, 0x3c, 0x00, 0xc0]))
    writer.add("matrix", EmbeddingMatrix([[1, 2, 3], [4, 5, 6]]))
    writer.add("number", shape: [], floats: [42])
    writer.add("nothing", shape: [0, 5], floats: [])
    writer.add("double", .f64, shape: [1], bytes: bytes(0.1))
    writer.add("brain", .bf16, shape: [1], bytes: Data([0x80, 0x3f]))

    let file = try open(writer.data())
    #expect(file.tensors.map(\.name) == ["double", "matrix", "number", "nothing", "half", "brain", "bytes"])
    #expect(file.metadata == writer.metadata)
    #expect(file.tensors[0].byteRange.lowerBound % 64 == 0)
    #expect(try file.floats(#require(file["half"])) == [1, -2])
    #expect(try file.floats(#require(file["double"])) == [Float(0.1)])
    #expect(try file.floats(#require(file["brain"])) == [1])
    #expect(try file.floats(#require(file["number"])) == [42])
    #expect(try file.floats(#require(file["nothing"])) == [])
    #expect(file["number"]?.shape == [])
    #expect(file["missing"] == nil)

    let matrix = try file.matrix(#require(file["matrix"]))
    #expect(matrix.rows == 2 && matrix.dimension == 3)
    #expect(matrix[1] == [4, 5, 6])
    #expect(throws: SimilarityError.self) { try file.floats(#require(file["bytes"])) }
    #expect(throws: SimilarityError.self) { try file.matrix(#require(file["half"])) }

    let url = folder.url.appending(path: "written")
    try writer.write(to: url)
    #expect(try Data(contentsOf: url) == writer.data())
  }

  /// The file's own memory backs the matrix, also when nobody else holds the file.
  @Test func matrixKeepsTheFileAlive() throws {
    var writer = SafetensorsWriter()
    writer.add("m", EmbeddingMatrix(rows: 1000, dimension: 100, values: (0..<100_000).map(Float.init)))
    let matrix: EmbeddingMatrix
    do {
      let file = try open(writer.data())
      matrix = try file.matrix(#require(file["m"]))
    }
    #expect(matrix[999].last == 99_999)
  }

  @Test func acceptsWhatTheFormatAllows() throws {
    #expect(try open("{}").tensors.isEmpty)
    #expect(try open("{ } \n ").tensors.isEmpty)
    let file = try open(
      #"{"a\u0062\ud83d\ude00":{"shape":[ ],"data_offsets":[0,4],"dtype":"F4_NEW"},"__metadata__":{"k":"v"}}  "#,
      data: [1, 2, 3, 4])
    #expect(file.tensors.map(\.name) == ["ab😀"])
    #expect(file.tensors[0].elementType == .other("F4_NEW"))
    #expect(throws: SimilarityError.self) { try file.floats(file.tensors[0]) }
  }

  @Test(arguments: [
    #""#, #"["#, #"{"#, #"{}x"#, #" {}"#, #"{"a":1}"#, #"{"a":{}}"#, #"{"a":null}"#, #"{"a":[]}"#,
    #"{"__metadata__":{"a":1}}"#,
    #"{"__metadata__":{"a":"b","a":"b"}}"#, #"{"__metadata__":{},"__metadata__":{}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"dtype":"F32"}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#,
    #"{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}"#,
    #"{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
    #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F64","shape":[2305843009213693953],"data_offsets":[0,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}"#,
    #"{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"\ud800\u0041":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"\x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, #"{"\u00"#, #"{"abc\"#, #"{"a":{"dtype":"F32"#,
    "{\"a\u{0}\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
  ])
  func refusesHeader(_ header: String) throws {
    let error = #expect(throws: SimilarityError.self) { try open(header, data: [0, 0, 0, 0]) }
    #expect(error?.code == .weightsCorrupt)
    #expect((error?.message.utf8.count ?? 0) < 1000)
  }

  @Test func refusesDeepNesting() {
    for opening in [#"{"a":"#, "["] {
      #expect(throws: SimilarityError.self) { try open(#"{"a":"# + String(repeating: opening, count: 100_000)) }
    }
  }

  @Test func refusesBrokenFrames() throws {
    var writer = SafetensorsWriter()
    writer.add("a", shape: [4], floats: [1, 2, 3, 4])
    let whole = writer.data()
    for count in 0..<whole.count {
      #expect(throws: SimilarityError.self) { try open(whole.prefix(count)) }
    }
    #expect(throws: SimilarityError.self) { try open(whole + [0]) }
    for length: UInt64 in [1 << 63, .max, .max - 7, UInt64(Int.max), 1000] {
      #expect(throws: SimilarityError.self) {
        try open(bytes(length) + whole.dropFirst(8))
      }
    }
    #expect(throws: SimilarityError.self) { try open(Data([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff, 0x7d])) }
  }

  @Test func errorsHaveTheCodeThatWasAskedFor() throws {
    let url = try folder.file("garbage", Data("no tensors here".utf8))
    let error = #expect(throws: SimilarityError.self) { try SafetensorsFile(contentsOf: url, errorCode: .modelCorrupt) }
    #expect(error?.code == .modelCorrupt)
    #expect(error?.message.hasPrefix("\(url.path) is not a valid safetensors file: ") == true)
  }

  @Test func unalignedTensors() throws {
    let header =
      #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1,1],"data_offsets":[1,5]}}"#
    let file = try open(header, data: [9, 0, 0, 0x80, 0x3f])
    #expect(try file.floats(#require(file["b"])) == [1])
    let isAligned = try #require(file["b"]).byteRange.lowerBound % 4 == 0
    #expect(!isAligned)
    #expect(throws: SimilarityError.self) { try file.matrix(#require(file["b"])) }
  }
}
