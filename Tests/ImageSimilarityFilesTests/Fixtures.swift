import Foundation

/// The files that Scripts/goldens/pytorch_fixtures.py wrote.
enum Fixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  struct Expected: Decodable {
    struct Tensor: Decodable {
      let shape: [Int]
      let values: String?

      var floats: [Float]? { values?.split(separator: " ").compactMap { Float($0) } }
    }
    /// What is in the files that can be read: tensors by file and name.
    let contents: [String: [String: Tensor]]
    /// A part of the message about the files that cannot.
    let refused: [String: String]
  }

  static let expected: Expected = {
    do {
      return try JSONDecoder().decode(
        Expected.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
    } catch {
      preconditionFailure("the fixtures' expected.json cannot be read: \(error)")
    }
  }()

  static var readable: [String] { expected.contents.keys.sorted() }
  static var refused: [String] { expected.refused.keys.sorted() }

  static func data(_ name: String) throws -> Data { try Data(contentsOf: folder.appending(path: name)) }
}
