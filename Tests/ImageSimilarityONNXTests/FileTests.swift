import Foundation
import ImageSimilarityONNX
import Testing

@Suite struct FileTests {
  @Test func all() throws {
    let root = URL(filePath: "/usr/share/libonnx-testdata/data")
    var n = 0
    var failures: [String: Int] = [:]
    for case let url as URL in FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)! {
      guard url.pathExtension == "onnx" else { continue }
      n += 1
      do { _ = try ONNXFile(contentsOf: url, opsets: 1...21) } catch { failures["\(error)", default: 0] += 1 }
    }
    print(n); for f in failures { print(f) }
  }
}
