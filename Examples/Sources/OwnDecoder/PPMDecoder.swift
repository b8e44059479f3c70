import Foundation
import ImageSimilarityKit

/// Decodes binary PPM files (netpbm's "P6", 8 bits a channel); all else goes to libvips.
struct PPMDecoder: ImageDecoder {
  private let fallback = VipsImageDecoder()

  func decode(
    _ source: ImageSource, as geometry: ImageGeometry, into pixels: inout MutableSpan<UInt8>
  ) throws(SimilarityError) {
    switch source {
    case .file(let url) where url.pathExtension.lowercased() == "ppm":
      let file = try read(url)
      try decode(.data(file), as: geometry, into: &pixels)
    case .data(let file) where file.starts(with: Data("P6".utf8)):
      let image = try parse(file)
      // libvips resizes the pixels, so that all pictures are resized alike.
      try fallback.decode(.pixels(image), as: geometry, into: &pixels)
    default:
      try fallback.decode(source, as: geometry, into: &pixels)
    }
  }

  private func read(_ url: URL) throws(SimilarityError) -> Data {
    do {
      let values = try url.resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
      let limit = fallback.limits.encodedBytes
      guard values.isRegularFile == true, let size = values.fileSize, size <= limit else {
        throw SimilarityError(.imageTooLarge, "\(url.path) is not a regular file of at most \(limit) bytes")
      }
      return try Data(contentsOf: url)
    } catch let error as SimilarityError {
      throw error
    } catch {
      throw SimilarityError(.imageUnreadable, "cannot read \(url.path): \(error)")
    }
  }

  /// A magic number, width, height and greatest value in ASCII, one whitespace character, then R, G, B of each pixel.
  private func parse(_ file: Data) throws(SimilarityError) -> RGBImage {
    var rest = file.dropFirst(2)
    guard let width = number(&rest), let height = number(&rest), width > 0, height > 0 else {
      throw SimilarityError(.imageCorrupt, "a PPM file without a width and a height")
    }
    guard number(&rest) == 255 else {
      throw SimilarityError(.imageUnsupported, "a PPM file with other than 8 bits a channel")
    }
    // Each number is below 2^31, so the product does not overflow.
    guard width * height <= fallback.limits.pixels else {
      throw SimilarityError(.imageTooLarge, "\(width)x\(height) pixels are more than \(fallback.limits.pixels)")
    }
    let pixels = rest.dropFirst()
    guard pixels.count == width * height * 3 else {
      throw SimilarityError(
        .imageCorrupt, "a PPM file of \(width)x\(height) pixels has \(width * height * 3) bytes, not \(pixels.count)")
    }
    return RGBImage(size: PixelSize(width: width, height: height), pixels: Array(pixels))
  }

  /// Takes the next number, and the whitespace and comments (from `#` to the end of the line) before it.
  private func number(_ rest: inout Data) -> Int? {
    while let byte = rest.first, isSpace(byte) || byte == UInt8(ascii: "#") {
      rest = isSpace(byte) ? rest.dropFirst() : rest.drop { $0 != UInt8(ascii: "\n") }
    }
    let digits = rest.prefix(11).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    rest = rest.dropFirst(digits.count)
    return Int32(String(decoding: digits, as: UTF8.self)).map(Int.init)
  }

  private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
