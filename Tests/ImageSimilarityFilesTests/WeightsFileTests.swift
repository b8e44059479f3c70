import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

@Suite struct WeightsFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(arguments: Fixtures.readable)
  func readsWhatTorchWrote(_ name: String) throws {
    let expected = try #require(Fixtures.expected.contents[name])
    let file = try WeightsFile(contentsOf: Fixtures.folder.appending(path: name))
    #expect(Set(file.names) == Set(expected.keys))
    #expect(file.names.count == expected.count)
    for (name, tensor) in expected {
      #expect(file.shape(of: name) == tensor.shape)
      if let floats = tensor.floats {
        #expect(try file.floats(name) == floats, "tensor \(name)")
      } else {
        let error = #expect(throws: SimilarityError.self) { try file.floats(name) }
        #expect(error?.code == .weightsMismatch)
      }
    }
    #expect(file.shape(of: "missing") == nil)
    let error = #expect(throws: SimilarityError.self) { try file.floats("missing") }
    #expect(error == SimilarityError(.weightsMismatch, "\(file.file.name) has no tensor \"missing\""))
  }

  @Test(arguments: Fixtures.refused)
  func refusesWhatIsMoreThanTensors(_ name: String) throws {
    let error = #expect(throws: SimilarityError.self) {
      try WeightsFile(contentsOf: Fixtures.folder.appending(path: name))
    }
    #expect(error?.code == .weightsCorrupt)
    let reason = try #require(Fixtures.expected.refused[name])
    #expect(error?.message.contains(reason) == true, "\(error?.message ?? "")")
  }

  @Test func tensorsKeepTheirOrder() throws {
    let file = try WeightsFile(contentsOf: Fixtures.folder.appending(path: "legacy.pth"))
    #expect(file.names.first == "float" && file.names.last == "num_batches_tracked")
  }

  @Test func readsSafetensorsWhateverTheNameIs() throws {
    var writer = SafetensorsWriter()
    writer.add("a", shape: [2], floats: [1, 2])
    writer.add("b", .i64, shape: [], bytes: bytes(7))
    let url = folder.url.appending(path: "weights.pth")
    try writer.write(to: url)
    let file = try WeightsFile(contentsOf: url)
    #expect(Set(file.names) == ["a", "b"])
    #expect(try file.floats("a") == [1, 2])
    #expect(file.shape(of: "b") == [])
    #expect(throws: SimilarityError.self) { try file.floats("b") }
    #expect(try file.digest == SHA256.hexDigest(of: Data(contentsOf: url)))
  }

  @Test func readsMemory() throws {
    var writer = SafetensorsWriter()
    writer.add("a", shape: [2], floats: [1, 2])
    let data = writer.data()
    try unsafe data.withUnsafeBytes { memory in
      let file = try unsafe WeightsFile(bytes: memory, name: "bundled")
      #expect(try file.floats("a") == [1, 2])
      let error = #expect(throws: SimilarityError.self) { try file.floats("b") }
      #expect(error?.message == "bundled has no tensor \"b\"")
    }
  }

  @Test func missingAndUnreadableFiles() {
    for url in [folder.url.appending(path: "missing"), folder.url] {
      let error = #expect(throws: SimilarityError.self) { try WeightsFile(contentsOf: url) }
      #expect(error?.code == .weightsUnreadable)
      #expect(error?.message.contains(url.path) == true)
    }
  }

  @Test func messageAboutOtherFilesTellsWhatTheyLookLike() throws {
    let url = try folder.file("pointer", Data("version https://git-lfs.github.com/spec/v1\n".utf8))
    let error = #expect(throws: SimilarityError.self) { try WeightsFile(contentsOf: url) }
    #expect(error?.code == .weightsCorrupt)
    #expect(error?.message.contains("expected safetensors") == true)
    #expect(error?.message.contains("76 65 72 73") == true)
    #expect(error?.message.contains("\"version https://\"") == true)
    for contents in [Data(), Data([0]), Data(count: 100), Data([0x1b, 0x5b, 0x32, 0x4a])] {
      let url = try folder.file("other", contents)
      let error = #expect(throws: SimilarityError.self) { try WeightsFile(contentsOf: url) }
      #expect(error?.code == .weightsCorrupt)
      #expect(error?.message.unicodeScalars.allSatisfy { $0.value >= 0x20 } == true)
    }
  }

  @Test(arguments: ["zip.pth", "legacy.pth", "zip64.pth"])
  func everyTruncationIsRefused(_ name: String) throws {
    let whole = try Fixtures.data(name)
    for count in 0..<whole.count {
      let url = try folder.file("part", whole.prefix(count))
      let error = #expect(throws: SimilarityError.self) { try WeightsFile(contentsOf: url) }
      #expect(error?.code == .weightsCorrupt)
    }
  }
}
