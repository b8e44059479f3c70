/// What one picture may cost. A picture that costs more is refused with ``SimilarityError/Code/imageTooLarge``.
///
/// The defaults accept photographs of 200 megapixels (a baseline JPEG is decoded as a stream, in a few megabytes) and refuse
/// decompression bombs.
public struct DecodingLimits: Sendable, Hashable {
  /// Width times height, as the header says.
  public var pixels = 300_000_000
  /// Size of the file.
  public var encodedBytes = 512 << 20
  /// Bytes of memory: an estimate from the header, before pixels are decoded. Formats that have to be in memory as a whole
  /// (interlaced PNG, progressive JPEG, WebP, GIF, HEIF, TIFF) reach it, streams do not.
  public var memory = 384 << 20
  /// Time that decoding may take, not counting the wait for memory.
  public var duration = Duration.seconds(20)

  public init() {}
}
