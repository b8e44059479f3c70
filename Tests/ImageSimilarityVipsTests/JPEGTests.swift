import CVipsShim
import Foundation
import ImageSimilarityCore
import ImageSimilarityVips
import Testing

/// Ordinary JPEG files go past libvips. Two EXIF markers are out of the ordinary, and change nothing else.
@Suite struct JPEGTests {
  let decoder = VipsImageDecoder()

  /// An EXIF marker whose only entry is the orientation.
  private func exif(_ orientation: Int, isBigEndian: Bool = true) -> Data {
    func integer(_ value: Int, _ bytes: Int) -> [UInt8] {
      let bigEndian = (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
      return isBigEndian ? bigEndian : bigEndian.reversed()
    }
    var tiff = Array((isBigEndian ? "MM" : "II").utf8) + integer(42, 2) + integer(8, 4) + integer(1, 2)
    tiff += integer(0x0112, 2) + integer(3, 2) + integer(1, 4) + integer(orientation, 2) + [0, 0] + integer(0, 4)
    let content = Array("Exif\0\0".utf8) + tiff
    return Data([0xff, 0xe1, 0, UInt8(content.count + 2)] + content)
  }

  private func jpeg(_ name: String, _ markers: Data...) throws -> Data {
    let whole = try Fixtures.data(name)
    return whole.prefix(2) + markers.reduce(Data(), +) + whole.dropFirst(2)
  }

  @Test(arguments: ["420.jpg", "444.jpg", "grey.jpg", "large.jpg"], ResizeMode.allCases)
  func pixelsAreThoseOfLibvips(_ name: String, _ mode: ResizeMode) throws {
    for side in [17, 40, 300] {
      let geometry = ImageGeometry(size: PixelSize(width: side, height: side), resize: mode)
      let short = try decoder.decode(.data(jpeg(name, exif(1))), as: geometry)
      let long = try decoder.decode(.data(jpeg(name, exif(1), exif(1))), as: geometry)
      #expect(short == long, "\(side)")
    }
  }

  @Test(arguments: 1...8) func orientationsAreThoseOfLibvips(_ orientation: Int) throws {
    let geometry = ImageGeometry(size: PixelSize(width: 23, height: 17), resize: .pad)
    let expected = try decoder.decode(.data(jpeg("420.jpg", exif(orientation), exif(orientation))), as: geometry)
    for isBigEndian in [true, false] {
      let marker = exif(orientation, isBigEndian: isBigEndian)
      #expect(try decoder.decode(.data(jpeg("420.jpg", marker)), as: geometry) == expected)
    }
  }

  /// Cut short, the marker is libvips's business; nothing beyond it is read.
  @Test func damagedEXIFIsNotTrusted() throws {
    let geometry = ImageGeometry(size: PixelSize(width: 23, height: 17))
    let upright = try decoder.decode(.file(Fixtures.url("420.jpg")), as: geometry)
    let whole = exif(1)
    for count in 4..<whole.count {
      var marker = whole.prefix(count)
      marker[3] = UInt8(count - 2)
      #expect(try decoder.decode(.data(jpeg("420.jpg", marker)), as: geometry) == upright, "\(count)")
    }
    var far = whole
    far.replaceSubrange(14..<18, with: [0xff, 0xff, 0xff, 0xff])
    #expect(try decoder.decode(.data(jpeg("420.jpg", far)), as: geometry) == upright)
  }

  @Test func truncatedFileIsRefused() throws {
    let whole = try Fixtures.data("large.jpg")
    for part in 1..<20 {
      #expect(failure(.data(whole.prefix(whole.count * part / 20)))?.code.isAboutImage == true, "\(part) of 20")
    }
  }

  @Test func deadlineHolds() throws {
    var limits = DecodingLimits()
    limits.duration = .zero
    #expect(failure(.file(Fixtures.url("large.jpg")), limits: limits)?.code == .imageTooLarge)
  }

  /// Past the header, where libvips may not be running.
  @Test func deadlineHoldsForPixels() throws {
    let data = try Fixtures.data("large.jpg")
    let whole = try decoder.decode(.data(data), maximumSide: nil).size
    var message = [CChar](repeating: 0, count: 100)
    var rgb = [UInt8](repeating: 0, count: 3)
    let status = unsafe data.withUnsafeBytes { bytes in
      var picture: OpaquePointer?
      var header = cvips_header()
      unsafe cvips_picture_open(-1, bytes.baseAddress, Int64(bytes.count), .max, &picture, &message, message.count)
      defer { unsafe cvips_picture_close(picture) }
      unsafe cvips_picture_header(picture, 1, &header, &message, message.count)
      unsafe cvips_picture_set_deadline(picture, 0)
      let x = cvips_axis(size: Int64(whole.width), scaled: 1, offset: 0, count: 1)
      let y = cvips_axis(size: Int64(whole.height), scaled: 1, offset: 0, count: 1)
      return unsafe cvips_picture_decode(picture, x, y, [0, 0, 0], &rgb, 3, &message, message.count)
    }
    #expect(status == CVIPS_TIMEOUT)
  }
}
