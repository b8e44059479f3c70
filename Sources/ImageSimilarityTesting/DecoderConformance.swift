public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Checks that a decoder keeps the promises of ``ImageDecoder``.
///
/// ```swift
/// @Test func conformance() async throws { try await DecoderConformance.check(MyDecoder()) }
/// ```
///
/// The pictures are small JPEG and PNG files that are part of this suite; nothing but the temporary folder is written to.
public enum DecoderConformance {
  /// Runs all checks.
  ///
  /// - Throws: ``ConformanceFailure`` for the first requirement that is not met.
  public static func check(_ decoder: some ImageDecoder) async throws {
    try checkPixelSources(decoder)
    try checkModes(decoder)
    try checkEncodedPictures(decoder)
    try checkFiles(decoder)
    try checkOrientation(decoder)
    try checkTransparency(decoder)
    try checkFailures(decoder)
    try await checkConcurrency(decoder)
  }

  private static func checkPixelSources(_ decoder: some ImageDecoder) throws {
    let image = gradient(PixelSize(width: 19, height: 13))
    let decoded = try decode(.pixels(image), as: ImageGeometry(size: image.size), decoder)
    try require("a picture that has the target size comes through untouched", decoded == image, "pixels differ")
  }

  private static func checkModes(_ decoder: some ImageDecoder) throws {
    let pictureSizes = [(1, 1), (1, 40), (40, 1), (7, 3), (300, 200), (200, 301)].map(PixelSize.init)
    let targetSizes = [(1, 1), (3, 5), (224, 224), (31, 17)].map(PixelSize.init)
    let green = RGBColor(red: 0, green: 255, blue: 0)
    for mode in ResizeMode.allCases {
      for target in targetSizes {
        for size in pictureSizes {
          let source = ImageSource.pixels(solid(RGBColor(red: 200, green: 100, blue: 50), size))
          let geometry = ImageGeometry(size: target, resize: mode, background: green)
          let decoded = try decode(source, as: geometry, decoder)
          let requirement = "a picture of one colour keeps it in mode \(mode)"
          let center = color(decoded, x: target.width / 2, y: target.height / 2)
          try require(requirement, isNear(center, (200, 100, 50)), "\(size) to \(target): \(center) in the centre")
          guard mode != .pad else { continue }
          let corner = color(decoded, x: 0, y: 0)
          try require(requirement, isNear(corner, (200, 100, 50)), "\(size) to \(target): \(corner) in the corner")
        }
      }
    }
    let wide = ImageSource.pixels(solid(.white, PixelSize(width: 40, height: 20)))
    let padded = try decode(
      wide, as: ImageGeometry(size: PixelSize(width: 20, height: 20), resize: .pad, background: green), decoder)
    try require(
      "mode pad centres the picture on the background",
      isNear(color(padded, x: 10, y: 2), (0, 255, 0)) && isNear(color(padded, x: 10, y: 17), (0, 255, 0))
        && isNear(color(padded, x: 1, y: 10), (255, 255, 255)),
      "a 40x20 picture does not lie on rows 5 to 14 of 20x20")
    let large = gradient(PixelSize(width: 256, height: 256))
    let cut = try decode(
      .pixels(large), as: ImageGeometry(size: PixelSize(width: 224, height: 224), resize: .crop), decoder)
    try require(
      "mode crop cuts the centre out of a picture scaled to 256/224 of the target",
      color(cut, x: 0, y: 0) == color(large, x: 16, y: 16)
        && color(cut, x: 223, y: 223) == color(large, x: 239, y: 239),
      "224x224 out of 256x256 does not begin at (16, 16)")
  }

  private static func checkEncodedPictures(_ decoder: some ImageDecoder) throws {
    for (name, picture) in [("PNG", Fixture.png), ("JPEG", Fixture.jpeg)] {
      for size in [PixelSize(width: 32, height: 16), PixelSize(width: 9, height: 21)] {
        let geometry = ImageGeometry(size: size)
        let first = try decode(.data(picture), as: geometry, decoder)
        try requireQuadrants("a \(name) has its colours where they belong", first)
        let second = try decode(.data(picture), as: geometry, decoder)
        try require("the result depends on the source and the geometry alone", first == second, name)
      }
    }
  }

  private static func checkFiles(_ decoder: some ImageDecoder) throws {
    try withTemporaryFolder { folder in
      // The content tells the format, not the name.
      let file = folder.appending(path: "a picture, ü & <b>.jpg")
      try Fixture.png.write(to: file)
      let geometry = ImageGeometry(size: PixelSize(width: 32, height: 16))
      let fromFile = try decode(.file(file), as: geometry, decoder)
      let fromData = try decode(.data(Fixture.png), as: geometry, decoder)
      try require("a file and its bytes are the same picture", fromFile == fromData, "pixels differ")
    }
  }

  private static func checkOrientation(_ decoder: some ImageDecoder) throws {
    let geometry = ImageGeometry(size: PixelSize(width: 32, height: 16))
    let turned = try decode(.data(Fixture.turnedJPEG), as: geometry, decoder)
    try requireQuadrants("the EXIF orientation is applied", turned)
  }

  private static func checkTransparency(_ decoder: some ImageDecoder) throws {
    for background in [RGBColor.white, .black, RGBColor(red: 10, green: 120, blue: 250)] {
      let geometry = ImageGeometry(size: PixelSize(width: 4, height: 4), background: background)
      let decoded = try decode(.data(Fixture.halfTransparentPNG), as: geometry, decoder)
      let expected = (Int(background.red), Int(background.green), Int(background.blue))
      let seen = color(decoded, x: 3, y: 2)
      try require("the background shows through transparent pixels", isNear(seen, expected), "\(seen), not \(expected)")
      let opaque = color(decoded, x: 0, y: 2)
      try require("opaque pixels hide the background", isNear(opaque, (200, 0, 0)), "\(opaque)")
    }
  }

  private static func checkFailures(_ decoder: some ImageDecoder) throws {
    let noise = Data((0..<5000).map { UInt8(truncatingIfNeeded: $0 &* $0 &* 31 &+ $0 >> 3) })
    try requireFailure("no bytes", .data(Data()), decoder)
    try requireFailure("bytes of no format", .data(noise), decoder)
    try requireFailure("text", .data(Data("this is not a picture\n".utf8)), decoder)
    for (name, picture) in [("PNG", Fixture.png), ("JPEG", Fixture.jpeg)] {
      try requireFailure("a \(name)'s first half", .data(picture.prefix(picture.count / 2)), decoder)
      try requireFailure("a \(name)'s first 12 bytes", .data(picture.prefix(12)), decoder)
    }
    try withTemporaryFolder { folder in
      try requireFailure("a missing file", .file(folder.appending(path: "missing.jpg")), decoder)
      try requireFailure("a folder", .file(folder), decoder)
      let file = folder.appending(path: "text.jpg")
      try Data("this is not a picture\n".utf8).write(to: file)
      try requireFailure("a text file named .jpg", .file(file), decoder)
    }
  }

  private static func checkConcurrency(_ decoder: some ImageDecoder) async throws {
    let geometry = ImageGeometry(size: PixelSize(width: 21, height: 34))
    let pictures = [Fixture.png, Fixture.jpeg, Fixture.turnedJPEG, Fixture.halfTransparentPNG]
    var expected: [RGBImage] = []
    for picture in pictures { expected.append(try decode(.data(picture), as: geometry, decoder)) }
    let reference = expected
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<64 {
        group.addTask {
          let picture = task % pictures.count
          // Failures beside successes: neither may disturb the other.
          if task % 3 == 0 { try requireFailure("a broken picture", .data(pictures[picture].prefix(40)), decoder) }
          let decoded = try decode(.data(pictures[picture]), as: geometry, decoder)
          try require("several threads may decode at once", decoded == reference[picture], "pixels differ")
        }
      }
      try await group.waitForAll()
    }
  }

  // Tools

  private static func decode(
    _ source: ImageSource, as geometry: ImageGeometry, _ decoder: some ImageDecoder
  ) throws -> RGBImage {
    do throws(SimilarityError) {
      return try decoder.decode(source, as: geometry)
    } catch {
      throw ConformanceFailure(
        requirement: "a sound picture is decoded",
        detail: "\(source) as \(geometry.size) in mode \(geometry.resize): \(error.message)")
    }
  }

  private static func requireFailure(
    _ name: String, _ source: ImageSource, _ decoder: some ImageDecoder
  ) throws {
    let requirement = "\(name) is refused with a code of the image family"
    do throws(SimilarityError) {
      _ = try decoder.decode(source, as: ImageGeometry(size: PixelSize(width: 32, height: 16)))
    } catch {
      let family: [SimilarityError.Code] = [.imageUnreadable, .imageUnsupported, .imageCorrupt, .imageTooLarge]
      try require(requirement, family.contains(error.code), "the code is \(error.code.rawValue)")
      try require(requirement, !error.message.isEmpty, "there is no message")
      return
    }
    throw ConformanceFailure(requirement: requirement, detail: "it was decoded")
  }

  private static func require(_ requirement: String, _ isMet: Bool, _ detail: @autoclosure () -> String) throws {
    guard isMet else { throw ConformanceFailure(requirement: requirement, detail: detail()) }
  }

  private static func requireQuadrants(_ requirement: String, _ image: RGBImage) throws {
    let (width, height) = (image.size.width, image.size.height)
    let expected = [
      (width / 5, height / 5, (220, 30, 30)), (width * 4 / 5, height / 5, (30, 200, 30)),
      (width / 5, height * 4 / 5, (30, 30, 220)), (width * 4 / 5, height * 4 / 5, (240, 240, 240)),
    ]
    for (x, y, wanted) in expected {
      let seen = color(image, x: x, y: y)
      try require(requirement, isNear(seen, wanted, tolerance: 24), "\(seen) at (\(x), \(y)), not \(wanted)")
    }
  }

  private static func color(_ image: RGBImage, x: Int, y: Int) -> (Int, Int, Int) {
    let i = (y * image.size.width + x) * 3
    return (Int(image.pixels[i]), Int(image.pixels[i + 1]), Int(image.pixels[i + 2]))
  }

  private static func isNear(_ a: (Int, Int, Int), _ b: (Int, Int, Int), tolerance: Int = 2) -> Bool {
    abs(a.0 - b.0) <= tolerance && abs(a.1 - b.1) <= tolerance && abs(a.2 - b.2) <= tolerance
  }

  private static func solid(_ color: RGBColor, _ size: PixelSize) -> RGBImage {
    RGBImage(
      size: size, pixels: (0..<size.area * 3).map { [color.red, color.green, color.blue][$0 % 3] })
  }

  private static func gradient(_ size: PixelSize) -> RGBImage {
    var pixels: [UInt8] = []
    for y in 0..<size.height {
      for x in 0..<size.width {
        pixels += [UInt8(x * 255 / size.width), UInt8(y * 255 / size.height), UInt8(truncatingIfNeeded: x * y)]
      }
    }
    return RGBImage(size: size, pixels: pixels)
  }

  private static func withTemporaryFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "DecoderConformance-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  /// Encoded pictures. All but the last show, upright, 32x16 pixels in four quadrants: red and green above blue and white.
  private enum Fixture {
    static let png = data(
      """
      iVBORw0KGgoAAAANSUhEUgAAACAAAAAQCAIAAAD4YuoOAAAAMElEQVR42mO8IyfHQApwWkWScgYmBhqDUQtGLaAcMMrJ3SFJw6VL
      IqNxMGrBcLMAAJyMBPMDanSsAAAAAElFTkSuQmCC
      """)

    static let jpeg = data(
      """
      /9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx
      NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy
      MjIyMjIyMjL/wAARCAAQACADASIAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAAAAYH/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/E
      ABYBAQEBAAAAAAAAAAAAAAAAAAYFB//EABwRAAEEAwEAAAAAAAAAAAAAAAAVFmOhouHiYv/aAAwDAQACEQMRAD8AlhOC4zJ8ehI7
      IcuTThtwFJHutmdoUlbP/9k=
      """)

    /// Stored turned by 90 degrees, with EXIF orientation 6.
    static let turnedJPEG = data(
      """
      /9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAAYEBQYFBAYGBQYHBwYI
      ChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgo
      KCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAgABADASIAAhEBAxEB/8QAFgABAQEAAAAA
      AAAAAAAAAAAACAYC/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/EABUBAQEAAAAAAAAAAAAAAAAAAAYH/8QAHREAAQMFAQAAAAAAAAAA
      AAAAAAZDggUHRMHCgf/aAAwDAQACEQMRAD8A2SQ2kkP0JzzYWTTsdgzSKuSKiW9yYdFXXLEuT//Z
      """)

    /// 4x4 pixels: the left half (200, 0, 0), the right half transparent.
    static let halfTransparentPNG = data(
      """
      iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAYAAACp8Z5+AAAAGUlEQVR42mM4wcDw/wQDw38GKGBiQAOEBQDiJAOVcpYstQAAAABJ
      RU5ErkJggg==
      """)

    private static func data(_ base64: String) -> Data {
      guard let data = Data(base64Encoded: base64.filter { !$0.isNewline }) else {
        preconditionFailure("a fixture of this suite is not valid base64")
      }
      return data
    }
  }
}
