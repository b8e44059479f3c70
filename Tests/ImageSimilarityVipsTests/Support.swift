import Foundation
import ImageSimilarityCore
import ImageSimilarityVips

enum Fixtures {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")

  static func url(_ name: String) -> URL { folder.appending(path: name) }

  static func data(_ name: String) throws -> Data { try Data(contentsOf: url(name)) }
}

/// Data that all projects of this kind share; tests that need it are skipped where it is missing.
enum Shared {
  static let folder: URL = {
    if let path = ProcessInfo.processInfo.environment["IMSIM_SHARED"] { return URL(filePath: path) }
    let package = URL(filePath: #filePath).appending(path: "../../..").standardizedFileURL
    return package.appending(path: "../shared").standardizedFileURL
  }()

  static func has(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: path).path)
  }

  static func files(_ path: String) -> [URL] {
    let root = folder.appending(path: path)
    let entries = FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.isRegularFileKey])
    var files: [URL] = []
    for case let url as URL in entries ?? .init() {
      if (try? url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true { files.append(url) }
    }
    return files.sorted { $0.path < $1.path }
  }
}

/// Calls `body` with the path of a new folder, which is removed afterwards.
func withTemporaryFolder<R>(_ body: (URL) throws -> R) throws -> R {
  let folder = FileManager.default.temporaryDirectory.appending(path: "VipsTests-\(UUID())")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder)
}

/// The largest difference of two pictures' bytes.
func largestDifference(_ a: RGBImage, _ b: RGBImage) -> Int {
  guard a.size == b.size else { return 256 }
  return zip(a.pixels, b.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
}

/// The mean difference of two pictures' bytes.
func meanDifference(_ a: RGBImage, _ b: RGBImage) -> Double {
  guard a.size == b.size else { return 256 }
  let sum = zip(a.pixels, b.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
  return Double(sum) / Double(a.pixels.count)
}

extension RGBImage {
  init(_ size: PixelSize, _ color: (_ x: Int, _ y: Int) -> RGBColor) {
    var pixels: [UInt8] = []
    for y in 0..<size.height {
      for x in 0..<size.width {
        let c = color(x, y)
        pixels += [c.red, c.green, c.blue]
      }
    }
    self.init(size: size, pixels: pixels)
  }

  subscript(x: Int, y: Int) -> RGBColor {
    let i = (y * size.width + x) * 3
    return RGBColor(red: pixels[i], green: pixels[i + 1], blue: pixels[i + 2])
  }
}

/// The error code of decoding `source`, nil where it succeeds.
func failure(_ source: ImageSource, limits: DecodingLimits = DecodingLimits()) -> SimilarityError? {
  let geometry = ImageGeometry(size: PixelSize(width: 32, height: 32))
  do throws(SimilarityError) {
    _ = try VipsImageDecoder(limits: limits).decode(source, as: geometry)
    return nil
  } catch {
    return error
  }
}
