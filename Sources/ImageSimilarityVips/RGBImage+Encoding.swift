import CVipsShim
public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension RGBImage {
  /// The picture as a JPEG file.
  ///
  /// Throws ``SimilarityError/Code/invalidArgument`` where a side is longer than JPEG allows, 65,535 pixels.
  ///
  /// - Parameter quality: 1 to 100.
  public func jpegData(quality: Int = 90) throws(SimilarityError) -> Data {
    guard (1...100).contains(quality) else {
      throw SimilarityError(.invalidArgument, "a JPEG's quality is between 1 and 100, not \(quality)")
    }
    return try encoded(as: "JPEG", quality: quality)
  }

  /// The picture as a PNG file, without loss.
  public func pngData() throws(SimilarityError) -> Data {
    try encoded(as: "PNG", quality: 0)
  }

  private func encoded(as format: String, quality: Int) throws(SimilarityError) -> Data {
    try VipsSettings.start()
    var bytes: UnsafeMutablePointer<UInt8>?
    var length = 0
    try unsafe CallResult { message, capacity in
      unsafe cvips_encode_rgb(
        pixels, Int32(size.width), Int32(size.height), Int32(quality), &bytes, &length, message, capacity)
    }.check { _, reason in
      SimilarityError(.invalidArgument, "cannot write \(size) pixels as \(format): \(reason)")
    }
    guard let bytes = unsafe bytes else { return Data() }
    defer { unsafe cvips_free(bytes) }
    return unsafe Data(bytes: bytes, count: length)
  }
}
