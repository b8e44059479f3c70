import Foundation

/// A new folder that is removed with the object.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(path: "imsim-files-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func file(_ name: String, _ contents: Data = Data()) throws -> URL {
    let file = url.appending(path: name)
    try contents.write(to: file)
    return file
  }

  var contents: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() }
  }
}

/// The bytes of a number or of an array's elements.
func bytes<T: BitwiseCopyable>(_ values: T...) -> Data { bytes(values) }

func bytes<T: BitwiseCopyable>(_ values: [T]) -> Data {
  unsafe values.withUnsafeBytes { unsafe Data($0) }
}
