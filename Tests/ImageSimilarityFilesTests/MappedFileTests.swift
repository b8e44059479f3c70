import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

@Suite struct MappedFileTests {
  @Test func bytes() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(contentsOf: folder.file("some bytes", Data([1, 2, 3])))
    #expect(file.count == 3)
    let bytes = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Array($0) } }
    #expect(bytes == [1, 2, 3])
    #expect(file.name.hasSuffix("/some bytes"))
  }

  @Test func emptyFile() throws {
    let folder = try TemporaryFolder()
    let file = try MappedFile(contentsOf: folder.file("empty"))
    #expect(file.count == 0)
    #expect(file.withBytes { $0.byteCount } == 0)
  }

  @Test func refusesEverythingElse() throws {
    let folder = try TemporaryFolder()
    let pipe = folder.url.appending(path: "pipe")
    let status = unsafe mkfifo(pipe.path, 0o600)
    #expect(status == 0)
    let others = [
      folder.url, pipe, URL(filePath: "/dev/zero"), folder.url.appending(path: "missing"),
      folder.url.appending(path: "nul%00byte"), try #require(URL(string: "http://localhost/x")),
    ]
    for url in others {
      #expect { try MappedFile(contentsOf: url) } throws: { ($0 as? SimilarityError)?.code == .inputOutput }
    }
  }

  @Test func messagesNameThePathAndTheReason() throws {
    let folder = try TemporaryFolder()
    let url = folder.url.appending(path: "missing")
    let error = #expect(throws: SimilarityError.self) { try MappedFile(contentsOf: url) }
    #expect(error?.message == "cannot open \(url.path): No such file or directory")
  }
}
