public import ImageSimilarityCore
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What people do to a picture before they pass it on. Serves to try how well edited copies are found.
public enum ImageEdit: Sendable, Hashable {
  /// The middle part, this fraction of each side, in `(0, 1]`.
  case crop(Double)
  /// Left and right exchanged.
  case mirror
  /// Every channel times this factor.
  case brightness(Double)
  /// Saved as a JPEG of this quality, from 1 to 100.
  case recompress(quality: Int)
  /// Both sides times this factor, in `(0, 4]`.
  case resize(Double)
  /// Every channel's distance from the middle, 127.5, times this factor.
  case contrast(Double)
  /// Without colours: every channel is the luma of ITU-R BT.601.
  case grey
  /// Turned clockwise about the centre by this angle, within 45 degrees, and cut to the largest part of the same shape that the
  /// picture still covers.
  case tilt(degrees: Double)
  /// A translucent white band with a row of bars, as wide as two thirds of the picture, near its lower left corner.
  case watermark

  /// The edited picture as a JPEG file.
  public func jpeg(of image: RGBImage) throws(SimilarityError) -> Data {
    switch self {
    case .crop(let fraction): try Self.crop(image, fraction).jpegData()
    case .mirror: try Self.mirror(image).jpegData()
    case .brightness(let factor): try Self.mapChannels(image) { $0 * factor }.jpegData()
    case .recompress(let quality): try image.jpegData(quality: quality)
    case .resize(let factor): try Self.resize(image, factor).jpegData()
    case .contrast(let factor): try Self.mapChannels(image) { ($0 - 127.5) * factor + 127.5 }.jpegData()
    case .grey: try Self.grey(image).jpegData()
    case .tilt(let degrees): try Self.tilt(image, degrees).jpegData()
    case .watermark: try Self.watermark(image).jpegData()
    }
  }

  private static func crop(_ image: RGBImage, _ fraction: Double) -> RGBImage {
    precondition(fraction > 0 && fraction <= 1, "a crop keeps a fraction from 0 to 1 of each side")
    let size = PixelSize(
      width: max(1, Int(Double(image.size.width) * fraction)), height: max(1, Int(Double(image.size.height) * fraction))
    )
    let (left, top) = ((image.size.width - size.width) / 2, (image.size.height - size.height) / 2)
    var pixels: [UInt8] = []
    pixels.reserveCapacity(size.area * 3)
    for y in top..<top + size.height {
      let start = (y * image.size.width + left) * 3
      pixels += image.pixels[start..<start + size.width * 3]
    }
    return RGBImage(size: size, pixels: pixels)
  }

  private static func mirror(_ image: RGBImage) -> RGBImage {
    var pixels = image.pixels
    for y in 0..<image.size.height {
      for x in 0..<image.size.width {
        let to = (y * image.size.width + x) * 3
        let from = (y * image.size.width + image.size.width - 1 - x) * 3
        for channel in 0..<3 { pixels[to + channel] = image.pixels[from + channel] }
      }
    }
    return RGBImage(size: image.size, pixels: pixels)
  }

  private static func mapChannels(_ image: RGBImage, _ change: (Double) -> Double) -> RGBImage {
    let table = (0..<256).map { UInt8(min(255, max(0, change(Double($0)).rounded()))) }
    return RGBImage(size: image.size, pixels: image.pixels.map { table[Int($0)] })
  }

  private static func resize(_ image: RGBImage, _ factor: Double) throws(SimilarityError) -> RGBImage {
    precondition(factor > 0 && factor <= 4, "a picture is resized by a factor from 0 to 4")
    let size = PixelSize(
      width: max(1, Int((Double(image.size.width) * factor).rounded())),
      height: max(1, Int((Double(image.size.height) * factor).rounded())))
    return try VipsImageDecoder().decode(.pixels(image), as: ImageGeometry(size: size))
  }

  private static func grey(_ image: RGBImage) -> RGBImage {
    var pixels = image.pixels
    for i in stride(from: 0, to: pixels.count, by: 3) {
      let luma = (299 * Int(pixels[i]) + 587 * Int(pixels[i + 1]) + 114 * Int(pixels[i + 2]) + 500) / 1000
      for channel in 0..<3 { pixels[i + channel] = UInt8(luma) }
    }
    return RGBImage(size: image.size, pixels: pixels)
  }

  /// Bilinear, from the middles of pixels.
  private static func tilt(_ image: RGBImage, _ degrees: Double) -> RGBImage {
    precondition(abs(degrees) <= 45, "a tilt is within 45 degrees")
    let (width, height) = (image.size.width, image.size.height)
    let (sine, cosine) = (sin(degrees * .pi / 180), cos(degrees * .pi / 180))
    let aspect = Double(max(width, height)) / Double(min(width, height))
    let fraction = 1 / (cosine + abs(sine) * aspect)
    let size = PixelSize(
      width: max(1, Int(Double(width) * fraction)), height: max(1, Int(Double(height) * fraction)))
    var pixels: [UInt8] = []
    pixels.reserveCapacity(size.area * 3)
    for y in 0..<size.height {
      for x in 0..<size.width {
        let (dx, dy) = (Double(x) + 0.5 - Double(size.width) / 2, Double(y) + 0.5 - Double(size.height) / 2)
        let fromX = min(max(cosine * dx + sine * dy + Double(width) / 2 - 0.5, 0), Double(width - 1))
        let fromY = min(max(cosine * dy - sine * dx + Double(height) / 2 - 0.5, 0), Double(height - 1))
        let (left, top) = (Int(fromX), Int(fromY))
        let (right, bottom) = (min(left + 1, width - 1), min(top + 1, height - 1))
        let (shareRight, shareBottom) = (fromX - Double(left), fromY - Double(top))
        for channel in 0..<3 {
          func value(_ x: Int, _ y: Int) -> Double { Double(image.pixels[(y * width + x) * 3 + channel]) }
          let upper = value(left, top) * (1 - shareRight) + value(right, top) * shareRight
          let lower = value(left, bottom) * (1 - shareRight) + value(right, bottom) * shareRight
          pixels.append(UInt8((upper * (1 - shareBottom) + lower * shareBottom).rounded()))
        }
      }
    }
    return RGBImage(size: size, pixels: pixels)
  }

  private static func watermark(_ image: RGBImage) -> RGBImage {
    var pixels = image.pixels
    let (width, height) = (image.size.width, image.size.height)
    let (columns, rows) = (width / 20..<width / 20 + width * 2 / 3, height * 4 / 5..<height * 19 / 20)
    let bar = max(1, columns.count / 24)
    for y in rows {
      let isInner = rows.count > 4 && (y - rows.lowerBound) * 4 > rows.count && (rows.upperBound - y) * 4 > rows.count
      for x in columns {
        let isBar = isInner && (x - columns.lowerBound) / bar % 2 == 1
        let start = (y * width + x) * 3
        for channel in 0..<3 {
          let under = Int(pixels[start + channel])
          pixels[start + channel] = UInt8((under * 2 + (isBar ? 40 : 255) * 3) / 5)
        }
      }
    }
    return RGBImage(size: image.size, pixels: pixels)
  }
}
