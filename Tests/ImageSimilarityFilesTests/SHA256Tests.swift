import Foundation
import ImageSimilarityFiles
import Testing

@Suite struct SHA256Tests {
  /// The examples that NIST publishes with FIPS 180-4.
  @Test(arguments: SHA256.Variant.allCases.filter(\.isAvailable))
  func publishedVectors(_ variant: SHA256.Variant) {
    let vectors = [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      (
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
        "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
      ),
      (
        String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
      ),
    ]
    for (message, digest) in vectors {
      #expect(SHA256.hexDigest(of: Data(message.utf8), variant: variant) == digest)
    }
  }

  @Test(.enabled(if: SHA256.Variant.native.isAvailable, "needs a CPU with SHA-256 instructions"))
  func variantsAgreeAtAllLengthsAndAddresses() {
    let bytes = Data((0..<400).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) })
    for start in 0..<3 {
      for end in start...bytes.count {
        let part = bytes[start..<end]
        #expect(SHA256.hexDigest(of: part, variant: .native) == SHA256.hexDigest(of: part, variant: .portable))
      }
    }
  }

  @Test func filesAndDataHaveOneDigest() throws {
    let folder = try TemporaryFolder()
    let data = Data((0..<5000).map { UInt8(truncatingIfNeeded: $0) })
    let file = try MappedFile(contentsOf: folder.file("data", data))
    #expect(SHA256.hexDigest(of: file) == SHA256.hexDigest(of: data))
    let empty = try MappedFile(contentsOf: folder.file("empty"))
    #expect(SHA256.hexDigest(of: empty) == SHA256.hexDigest(of: Data()))
  }
}
