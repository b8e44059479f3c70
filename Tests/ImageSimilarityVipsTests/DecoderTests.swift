import Foundation
import ImageSimilarityCore
import ImageSimilarityTesting
import ImageSimilarityVips
import Testing

@Suite struct DecoderTests {
  let decoder = VipsImageDecoder()
  let target = PixelSize(width: 24, height: 16)
  let background = RGBColor(red: 10, green: 120, blue: 250)

  @Test func conforms() async throws {
    try await DecoderConformance.check(decoder)
  }

  /// Scripts/goldens/decoder.py makes the pictures and what Pillow makes of them.
  @Test(arguments: [
    ("rgb.png", 1), ("tall.png", 1), ("420.jpg", 2), ("444.jpg", 2), ("progressive.jpg", 2), ("grey.jpg", 2),
    ("grey16.png", 1), ("palette.png", 1), ("1bit.png", 1), ("alpha.png", 2), ("grey-alpha.png", 2),
    ("lossless.webp", 1), ("lzw.tif", 1), ("pages.tif", 1), ("animated.webp", 1), ("animated.gif", 1),
    ("profile.png", 2), ("exact-size.jpg", 1), ("large.jpg", 6),
  ])
  func agreesWithPillow(_ name: String, tolerance: Int) throws {
    var compared = 0
    for mode in ResizeMode.allCases {
      let golden = Fixtures.url("\(name).\(mode.rawValue).rgb")
      guard let bytes = try? Data(contentsOf: golden) else { continue }
      let geometry = ImageGeometry(size: target, resize: mode, background: background)
      let expected = RGBImage(size: target, pixels: [UInt8](bytes))
      let decoded = try decoder.decode(.file(Fixtures.url(name)), as: geometry)
      #expect(largestDifference(decoded, expected) <= tolerance, "\(mode)")
      compared += 1
    }
    #expect(compared > 0, "no golden")
  }

  @Test(arguments: 1...8, ResizeMode.allCases)
  func appliesOrientation(_ orientation: Int, _ mode: ResizeMode) throws {
    // An odd cut, so that a wrong direction is off by one.
    let geometry = ImageGeometry(size: PixelSize(width: 23, height: 17), resize: mode, background: background)
    let upright = try decoder.decode(.file(Fixtures.url("rgb.png")), as: geometry)
    let turned = try decoder.decode(.file(Fixtures.url("orientation-\(orientation).png")), as: geometry)
    // Rows that are stored as columns are resampled in the other order, and what overshoots is cut off in between.
    #expect(largestDifference(turned, upright) <= (orientation < 5 ? 0 : 8))
    #expect(meanDifference(turned, upright) < 0.2)
    let own = try decoder.decode(.file(Fixtures.url("orientation-\(orientation).png")), maximumSide: nil)
    #expect(own.size == PixelSize(width: 61, height: 47))
    #expect(own == (try decoder.decode(.file(Fixtures.url("rgb.png")), maximumSide: nil)))
  }

  @Test func convertsInks() throws {
    let inks = try decoder.decode(.file(Fixtures.url("inks.jpg")), maximumSide: nil)
    let paper = inks[3, 8]
    let (cyan, magenta, yellow, black) = (inks[12, 8], inks[20, 8], inks[28, 8], inks[36, 8])
    #expect(min(paper.red, paper.green, paper.blue) > 245, "\(paper)")
    #expect(cyan.red < 100 && cyan.blue > 150, "\(cyan)")
    #expect(magenta.green < 100 && magenta.red > 150, "\(magenta)")
    #expect(yellow.blue < 100 && yellow.red > 180 && yellow.green > 180, "\(yellow)")
    #expect(max(black.red, black.green, black.blue) < 80, "\(black)")
  }

  @Test func keepsTheAspectRatio() throws {
    let image = RGBImage(PixelSize(width: 61, height: 47)) { x, y in
      RGBColor(red: UInt8(x), green: UInt8(y), blue: 0)
    }
    #expect(try decoder.decode(.pixels(image), maximumSide: nil) == image)
    #expect(try decoder.decode(.pixels(image), maximumSide: 100) == image)
    #expect(try decoder.decode(.pixels(image), maximumSide: 30).size == PixelSize(width: 30, height: 23))
    #expect(try decoder.decode(.pixels(image), maximumSide: 1).size == PixelSize(width: 1, height: 1))
  }

  @Test(arguments: ResizeMode.allCases)
  func decodesTheThinnestPictures(_ mode: ResizeMode) throws {
    let geometry = ImageGeometry(size: PixelSize(width: 20, height: 20), resize: mode)
    for size in [(1, 1), (1, 20_000), (20_000, 1), (3, 20_000)].map(PixelSize.init) {
      let image = RGBImage(size) { _, _ in RGBColor(red: 90, green: 60, blue: 30) }
      for source in [ImageSource.pixels(image), .data(try image.pngData())] {
        let decoded = try decoder.decode(source, as: geometry)
        let center = decoded[9, 9]
        #expect(center == RGBColor(red: 90, green: 60, blue: 30), "\(size)")
      }
    }
  }

  @Test func roundTripsThroughFiles() throws {
    let image = RGBImage(PixelSize(width: 40, height: 30)) { x, y in
      RGBColor(red: UInt8(x * 6), green: UInt8(y * 8), blue: UInt8(x + y))
    }
    #expect(try decoder.decode(.data(image.pngData()), maximumSide: nil) == image)
    let jpeg = try decoder.decode(.data(image.jpegData(quality: 95)), maximumSide: nil)
    #expect(largestDifference(jpeg, image) < 24)
    #expect(throws: SimilarityError.self) { try image.jpegData(quality: 0) }
  }

  @Test func samplesWithoutMeaningAreClipped() throws {
    // A float TIFF of NaN: any picture, but always the same, and no crash.
    let floats = try #require(Data(base64Encoded: Self.nanTIFF))
    let geometry = ImageGeometry(size: target)
    let first = try decoder.decode(.data(floats), as: geometry)
    #expect(first == (try decoder.decode(.data(floats), as: geometry)))
  }

  /// 2x2 float32 samples, all NaN, uncompressed, little endian.
  private static let nanTIFF: String = {
    func le16(_ v: Int) -> [UInt8] { [UInt8(v & 255), UInt8(v >> 8 & 255)] }
    func le32(_ v: Int) -> [UInt8] { le16(v & 0xffff) + le16(v >> 16) }
    let tags = [
      (256, 2), (257, 2), (258, 32), (259, 1), (262, 1), (273, 8), (277, 1), (278, 2), (279, 16), (339, 3),
    ]
    var bytes: [UInt8] = [0x49, 0x49, 42, 0] + le32(24)
    for _ in 0..<4 { bytes += le32(0x7fc0_0000) }
    bytes += le16(tags.count)
    for (tag, value) in tags { bytes += le16(tag) + le16(4) + le32(1) + le32(value) }
    bytes += le32(0)
    return Data(bytes).base64EncodedString()
  }()

  @Test(.enabled(if: Shared.has("data/caltech101-20"), "needs ../shared"))
  func agreesWithItselfAcrossThreads() async throws {
    let files = Array(Shared.files("data/caltech101-20").prefix(64))
    let geometry = ImageGeometry(size: PixelSize(width: 64, height: 64), resize: .crop)
    let alone = try files.map { try decoder.decode(.file($0), as: geometry) }
    let together = try await withThrowingTaskGroup(of: (Int, RGBImage).self) { group in
      for (i, file) in files.enumerated() {
        group.addTask { (i, try decoder.decode(.file(file), as: geometry)) }
      }
      var images = alone
      for try await (i, image) in group { images[i] = image }
      return images
    }
    #expect(together == alone)
  }
}
