import CVipsShim
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
    for (width, height) in [(1, 1), (2, 3), (5, 4), (6, 9), (7, 1), (16, 17), (33, 20), (97, 31), (300, 7), (1500, 3)] {
      let size = PixelSize(width: width, height: height)
      let image = RGBImage(size: size, pixels: Self.noise(size.area * 3))
      for target in [(1, 1), (3, 2), (5, 5), (16, 16), (31, 8), (97, 31), (224, 9)] {
        let geometry = ImageGeometry(size: PixelSize(width: target.0, height: target.1), resize: .squash)
        let found = try VipsImageDecoder().decode(.pixels(image), as: geometry)
        #expect(found == Reference.resize(image, to: geometry.size), "\(size) to \(geometry.size)")
      }
    }
  }

  /// Every instruction set that runs here comes to what the plain one comes to, of the whole and of a part, and writes
  /// nothing else.
  @Test(arguments: 1..<Int32(CVIPS_RESAMPLING_LEVELS), [Int32(1), 3, 4])
  func levelsAgree(_ level: Int32, _ bands: Int32) throws {
    guard cvips_resampling_runs(level) else { return }
    for (size, scaled) in [
      (1, 1), (1, 9), (2, 3), (3, 2), (5, 5), (7, 1), (9, 4), (21, 22), (30, 67), (64, 21), (67, 30), (300, 13),
      (1100, 7),
    ] {
      for (offset, count) in [(0, scaled), (scaled / 3, (scaled + 1) / 2), (scaled - 1, 1)] {
        let axis = cvips_axis(size: Int64(size), scaled: Int64(scaled), offset: Int64(offset), count: Int64(count))
        let other = cvips_axis(size: 11, scaled: 6, offset: 1, count: 5)
        for (x, y) in [(axis, other), (other, axis), (axis, axis)] {
          let pixels = Self.noise(Int(x.size * y.size) * Int(bands))
          let plain = try resample(pixels, bands, x, y, level: 0)
          #expect(try resample(pixels, bands, x, y, level: level) == plain, "\(x) \(y)")
        }
      }
    }
  }

  /// The rows, and the bytes that lie between and behind them.
  private func resample(
    _ pixels: [UInt8], _ bands: Int32, _ x: cvips_axis, _ y: cvips_axis, level: Int32
  ) throws -> [UInt8] {
    let rowBytes = Int(x.count) * Int(bands) + 5
    var out = [UInt8](repeating: 0xa5, count: rowBytes * Int(y.count) + 64)
    let status = unsafe cvips_resample(pixels, bands, x, y, &out, Int64(rowBytes), level)
    try #require(status == CVIPS_OK)
    for row in 0..<Int(y.count) {
      #expect(out[(row + 1) * rowBytes - 5..<(row + 1) * rowBytes].allSatisfy { $0 == 0xa5 })
    }
    #expect(out.suffix(64).allSatisfy { $0 == 0xa5 })
    return out
  }

  @Test func levelIsOneThatRuns() {
    #expect(cvips_resampling_runs(0))
    #expect(cvips_resampling_runs(cvips_resampling_level()))
    #expect(!cvips_resampling_runs(Int32(CVIPS_RESAMPLING_LEVELS)))
  }

  private static func noise(_ count: Int) -> [UInt8] {
    var state = UInt64(count)
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      // Much black and white, so that sums overshoot.
      return UInt8(clamping: Int(state >> 55) - 128)
    }
  }
}
