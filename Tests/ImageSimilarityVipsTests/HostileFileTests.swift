import Foundation
import ImageSimilarityCore
import ImageSimilarityVips
import Testing

@Suite struct HostileFileTests {
  @Test func namesWhatIsWrong() throws {
    try withTemporaryFolder { folder in
      let missing = folder.appending(path: "no\nsuch.jpg")
      let absent = try #require(failure(.file(missing)))
      #expect(absent.code == .imageUnreadable)
      #expect(!absent.message.contains("\n") && absent.message.contains("No such file"))
      #expect(failure(.file(folder))?.code == .imageUnreadable)

      let text = folder.appending(path: "text.jpg")
      try Data("not a picture".utf8).write(to: text)
      let unknown = try #require(failure(.file(text)))
      #expect(unknown.code == .imageUnsupported)
      #expect(unknown.message.components(separatedBy: text.path).count == 2, "the path is there once: \(unknown)")
    }
    #expect(failure(.data(Data()))?.code == .imageCorrupt)
    #expect(failure(.file(try #require(URL(string: "https://example.org/a.jpg"))))?.code == .imageUnreadable)
  }

  @Test func neverWaitsForWhatIsNoFile() throws {
    try withTemporaryFolder { folder in
      let fifo = folder.appending(path: "fifo.jpg")
      let made = unsafe mkfifo(fifo.path, 0o600)
      #expect(made == 0)
      #expect(failure(.file(fifo))?.code == .imageUnreadable)
    }
    #expect(failure(.file(URL(filePath: "/dev/zero")))?.code == .imageUnreadable)
  }

  @Test(arguments: ["420.jpg", "progressive.jpg", "rgb.png", "lossless.webp", "lzw.tif", "animated.gif"])
  func refusesTruncatedPictures(_ name: String) throws {
    let whole = try Fixtures.data(name)
    for length in stride(from: 1, to: whole.count * 3 / 4, by: max(1, whole.count / 40)) {
      let error = try #require(failure(.data(whole.prefix(length))), "\(length) of \(whole.count) bytes were decoded")
      #expect(error.code == .imageCorrupt || error.code == .imageUnsupported)
    }
  }

  @Test(arguments: ["420.jpg", "progressive.jpg", "rgb.png", "palette.png", "lossless.webp", "lzw.tif", "animated.gif"])
  func survivesFlippedBytes(_ name: String) throws {
    let whole = try Fixtures.data(name)
    var state: UInt64 = 88_172_645_463_325_252
    for _ in 0..<200 {
      var damaged = whole
      for _ in 0..<3 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        damaged[Int(state % UInt64(damaged.count))] = UInt8(truncatingIfNeeded: state >> 32)
      }
      let family: [SimilarityError.Code] = [.imageUnsupported, .imageCorrupt, .imageTooLarge]
      if let error = failure(.data(damaged)) { #expect(family.contains(error.code)) }
    }
  }

  @Test func keepsToItsLimits() throws {
    let png = ImageSource.data(try Fixtures.data("rgb.png"))  // 61x47
    var limits = DecodingLimits()
    limits.pixels = 61 * 47
    #expect(failure(png, limits: limits) == nil)
    limits.pixels -= 1
    #expect(failure(png, limits: limits)?.code == .imageTooLarge)

    limits = DecodingLimits()
    limits.encodedBytes = 100
    #expect(failure(png, limits: limits)?.code == .imageTooLarge)

    limits = DecodingLimits()
    limits.memory = 10_000  // a progressive JPEG has to be in memory as a whole, a baseline one does not
    #expect(failure(.data(try Fixtures.data("420.jpg")), limits: limits) == nil)
    #expect(failure(.data(try Fixtures.data("progressive.jpg")), limits: limits)?.code == .imageTooLarge)

    limits = DecodingLimits()
    limits.duration = .zero
    #expect(failure(png, limits: limits)?.code == .imageTooLarge)
  }

  /// Headers that promise far more than the file holds.
  @Test func refusesBombsByTheirHeader() throws {
    var gif = Data("GIF89a".utf8) + Data([0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 255, 255, 255])
    gif += Data([0x2c, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 2, 2, 0x44, 1, 0, 0x3b])
    #expect(failure(.data(gif))?.code == .imageTooLarge)

    var png = try Fixtures.data("rgb.png")
    png.replaceSubrange(16..<24, with: [0, 1, 0, 0, 0, 1, 0, 0])  // 65536x65536
    #expect(failure(.data(png)) != nil)
  }

  @Test func blocksFormatsThatAreNotTrusted() throws {
    let svg = Data("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>".utf8)
    #expect(failure(.data(svg))?.code == .imageUnsupported)
    #expect(failure(.data(Data("%PDF-1.4\n%%EOF".utf8)))?.code == .imageUnsupported)
    #expect(failure(.data(Data("1 2 3\n4 5 6\n".utf8)))?.code == .imageUnsupported)
    #expect(failure(.data(Data("3 2\n1 2 3\n4 5 6\n".utf8)))?.code == .imageUnsupported)
    #expect(failure(.data(Data("P6 1 1 255\nabc".utf8)))?.code == .imageUnsupported)
  }

  /// A crash or a hang is what would fail here.
  @Test(.enabled(if: Shared.has("data/hostile"), "needs ../shared"))
  func decodesOrRefusesEveryHostileFile() async throws {
    let files = Shared.files("data/hostile")
    #expect(files.count > 500)
    let decoded = await withTaskGroup(of: Bool.self) { group in
      for file in files { group.addTask { failure(.file(file)) == nil } }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(decoded > 300)
  }

  @Test(
    .enabled(if: Shared.has("data/hostile/exif-orientation"), "needs ../shared"), arguments: ["Landscape", "Portrait"])
  func turnsPhotographsUpright(_ name: String) throws {
    let geometry = ImageGeometry(size: PixelSize(width: 32, height: 32))
    let images = try (1...8).map { orientation in
      let path = "data/hostile/exif-orientation/\(name)_\(orientation).jpg"
      return try VipsImageDecoder().decode(.file(Shared.folder.appending(path: path)), as: geometry)
    }
    for image in images {
      #expect(meanDifference(image, images[0]) < 3)
    }
  }
}
