import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

@Suite struct AtomicFileTests {
  @Test func replacesAFile() throws {
    let folder = try TemporaryFolder()
    let url = try folder.file("file", Data("old".utf8))
    try writeAtomically(Data("new contents".utf8), to: url)
    #expect(try Data(contentsOf: url) == Data("new contents".utf8))
    #expect(try folder.contents == ["file"])
  }

  @Test func nothingRemainsOfAFileThatIsNotCommitted() throws {
    let folder = try TemporaryFolder()
    let url = try folder.file("file", Data("old".utf8))
    do {
      var file = try AtomicFile(url)
      try file.append(Data("new".utf8).bytes)
      #expect(try folder.contents.count == 2)
    }
    #expect(try Data(contentsOf: url) == Data("old".utf8))
    #expect(try folder.contents == ["file"])
  }

  @Test func overwrites() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "file")
    var file = try AtomicFile(url)
    try file.append(Data("0123456789".utf8).bytes)
    try file.overwrite(at: 2, Data("ab".utf8).bytes)
    try file.append(Data("!".utf8).bytes)
    try file.commit()
    #expect(try Data(contentsOf: url) == Data("01ab456789!".utf8))
  }

  @Test func errorsNameThePathAndTheReason() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "no such folder/file")
    let error = #expect(throws: SimilarityError.self) { try writeAtomically(Data(), to: url) }
    #expect(error == SimilarityError(.inputOutput, "cannot write \(url.path): No such file or directory"))
    #expect(throws: SimilarityError.self) { try writeAtomically(Data(), to: folder.url) }
    #expect(throws: SimilarityError.self) { try writeAtomically(Data(), to: URL(filePath: "/dev/full")) }
    #expect(try folder.contents == [])
  }
}
