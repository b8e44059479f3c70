public import ImageSimilarityCore
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
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

  /// The edited picture as a JPEG file.
  public func jpeg(of image: RGBImage) throws(SimilarityError) -> Data {
    switch self {
    case .crop(let fraction): try Self.crop(image, fraction).jpegData()
    case .mirror: try Self.mirror(image).jpegData()
    case .brightness(let factor): try Self.scale(image, factor).jpegData()
    case .recompress(let quality): try image.jpegData(quality: quality)
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

  private static func scale(_ image: RGBImage, _ factor: Double) -> RGBImage {
    RGBImage(size: image.size, pixels: image.pixels.map { UInt8(min(255, max(0, (Double($0) * factor).rounded()))) })
  }
}
