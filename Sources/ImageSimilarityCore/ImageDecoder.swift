/// Turns files and bytes into pixels.
///
/// ## Conforming
/// Write exactly `geometry.byteCount` bytes: `[height, width, 3]`, sRGB, 8 bits a channel, R, G, B, the picture upright
/// (its EXIF orientation applied) and resized as `geometry.resize` says, transparent pixels over `geometry.background`.
///
/// - The result depends on the source and the geometry alone, so that a picture has one embedding.
/// - Several threads call at once.
/// - A source that is missing, broken, hostile or too large throws a ``SimilarityError`` with a code of the image family
///   (``SimilarityError/Code/imageUnreadable`` and its neighbours); it never stops the process and never takes memory or
///   time without a limit. What was written into `pixels` by then does not matter.
///
/// `DecoderConformance` in the product ImageSimilarityTesting checks all of this.
public protocol ImageDecoder: Sendable {
  func decode(
    _ source: ImageSource, as geometry: ImageGeometry, into pixels: inout MutableSpan<UInt8>
  ) throws(SimilarityError)
}

extension ImageDecoder {
  /// Decodes into a new image of size `geometry.size`.
  public func decode(_ source: ImageSource, as geometry: ImageGeometry) throws(SimilarityError) -> RGBImage {
    var pixels = [UInt8](repeating: 0, count: geometry.byteCount)
    var span = pixels.mutableSpan
    try decode(source, as: geometry, into: &span)
    return RGBImage(size: geometry.size, pixels: pixels)
  }
}
