import Foundation
import ImageSimilarityCore
import ImageSimilarityVips
import Testing

/// Pillow's bicubic resize, written down as it is defined: horizontally, then vertically, each in 22-bit fixed point.
private struct Reference {
  private static func bicubic(_ x: Double) -> Double {
    let x = abs(x)
    if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
    if x < 2 { return ((-0.5 * x + 2.5) * x - 4) * x + 2 }
    return 0
  }

  /// Where the taps of each output sample begin, and their weights.
  private static func taps(_ size: Int, _ scaled: Int) -> [(first: Int, weights: [Int])] {
    let scale = Double(size) / Double(scaled)
    let width = max(scale, 1)
    return (0..<scaled).map { i in
      if size == scaled { return (i, [1 << 22]) }
      let center = (Double(i) + 0.5) * scale
      let first = max(0, Int(center - 2 * width + 0.5))
      let end = min(size, Int(center + 2 * width + 0.5))
      let exact = (first..<end).map { bicubic((Double($0) - center + 0.5) / width) }
      let sum = exact.reduce(0, +)
      return (first, exact.map { Int(($0 / sum * 4_194_304).rounded(.toNearestOrAwayFromZero)) })
    }
  }

  static func resize(_ image: RGBImage, to target: PixelSize) -> RGBImage {
    func axis(_ values: [UInt8], _ count: Int, _ lines: Int, _ step: Int, _ lineStep: Int, _ scaled: Int) -> [[UInt8]] {
      let taps = taps(count, scaled)
      return (0..<lines).map { line in
        taps.flatMap { tap in
          (0..<3).map { channel in
            var sum = 1 << 21
            for (k, weight) in tap.weights.enumerated() {
              sum += weight * Int(values[line * lineStep + (tap.first + k) * step + channel])
            }
            return UInt8(clamping: sum >> 22)
          }
        }
      }
    }
    let size = image.size
    let rows = axis(image.pixels, size.width, size.height, 3, size.width * 3, target.width)
    let narrow = rows.flatMap { $0 }
    let columns = axis(narrow, size.height, target.width, target.width * 3, 3, target.height)
    var result = RGBImage(target) { _, _ in .black }
    for (x, column) in columns.enumerated() {
      for y in 0..<target.height {
        for channel in 0..<3 { result.pixels[(y * target.width + x) * 3 + channel] = column[y * 3 + channel] }
      }
    }
    return result
  }
}

@Suite struct ResamplingTests {
  /// To the bit, with every number of taps and every place of the last one.
  @Test func isPillowsArithmetic() throws {
    var state: UInt64 = 1
    func byte() -> UInt8 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      // Much black and white, so that sums overshoot.
      return UInt8(clamping: Int(state >> 55) - 128)
    }
    for (width, height) in [(1, 1), (2, 3), (5, 4), (6, 9), (7, 1), (16, 17), (33, 20), (97, 31), (300, 7), (1500, 3)] {
      let size = PixelSize(width: width, height: height)
      let image = RGBImage(size: size, pixels: (0..<size.area * 3).map { _ in byte() })
      for target in [(1, 1), (3, 2), (5, 5), (16, 16), (31, 8), (97, 31), (224, 9)] {
        let geometry = ImageGeometry(size: PixelSize(width: target.0, height: target.1), resize: .squash)
        let found = try VipsImageDecoder().decode(.pixels(image), as: geometry)
        #expect(found == Reference.resize(image, to: geometry.size), "\(size) to \(geometry.size)")
      }
    }
  }
}
