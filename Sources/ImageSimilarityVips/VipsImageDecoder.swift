import CVipsShim
public import ImageSimilarityCore

/// Decodes pictures with libvips.
///
/// Formats: JPEG, PNG, WebP, TIFF, GIF, and HEIF/AVIF where libvips has the codec; of animations and documents the first
/// frame or page. Embedded colour profiles are applied; CMYK, grey, 16-bit, palette and floating-point samples become 8-bit
/// sRGB. Damaged and truncated pictures are refused.
///
/// Resampling is antialiased bicubic (Keys, a = -0.5), horizontally and then vertically, with the arithmetic of Pillow; a
/// picture that has the target size already comes through untouched. JPEG and WebP files of more than three times the target
/// size are first reduced while they are decoded, to no less than that.
///
/// Ordinary JPEG files (baseline, in colour or grey, no profile) go to libjpeg, on which libvips builds, by the short way; the
/// pixels are the same.
///
/// What lies outside the part that ``ResizeMode/crop`` cuts out may be damaged unnoticed.
///
/// A baseline JPEG or a non-interlaced PNG takes memory for a few rows; other files for the whole picture, see
/// ``DecodingLimits``. Decoding runs on the calling thread and blocks it.
public struct VipsImageDecoder: ImageDecoder {
  public var limits: DecodingLimits

  public init(limits: DecodingLimits = DecodingLimits()) {
    self.limits = limits
  }

  public func decode(
    _ source: ImageSource, as geometry: ImageGeometry, into pixels: inout MutableSpan<UInt8>
  ) throws(SimilarityError) {
    precondition(pixels.count == geometry.byteCount, "the buffer has \(pixels.count) bytes, not \(geometry.byteCount)")
    let decoded = try decode(source, over: geometry.background) { ResamplingPlan($0, geometry) }
    decoded.plan.fillMargins(geometry.background, in: &pixels)
    decoded.plan.place(decoded.stored.span, decoded.orientation, in: &pixels)
  }

  /// Decodes a picture at its own aspect ratio, upright.
  ///
  /// - Parameters:
  ///   - maximumSide: The longer side of the result at most, in pixels; nil leaves the picture at its own size. Pictures are
  ///     never enlarged.
  ///   - background: What shows through transparent pixels.
  public func decode(
    _ source: ImageSource, maximumSide: Int?, background: RGBColor = .white
  ) throws(SimilarityError) -> RGBImage {
    precondition(maximumSide ?? 1 >= 1, "a picture has at least one pixel")
    let decoded = try decode(source, over: background) { ResamplingPlan($0, maximumSide: maximumSide) }
    guard decoded.orientation != Orientation(exif: 1) else {
      return RGBImage(size: decoded.plan.frame, pixels: decoded.stored)
    }
    var pixels = [UInt8](repeating: 0, count: decoded.stored.count)
    var span = pixels.mutableSpan
    decoded.plan.place(decoded.stored.span, decoded.orientation, in: &span)
    return RGBImage(size: decoded.plan.frame, pixels: pixels)
  }

  /// The part of a picture that `plan` asks for, not yet turned upright.
  private struct Decoded {
    var plan: ResamplingPlan
    var orientation: Orientation
    var stored: [UInt8]
  }

  private func decode(
    _ source: ImageSource, over background: RGBColor, plan: (PixelSize) -> ResamplingPlan
  ) throws(SimilarityError) -> Decoded {
    let settings = try VipsSettings.current
    do throws(DecodingFailure) {
      switch source {
      case .pixels(let image):
        let plan = plan(image.size)
        return Decoded(plan: plan, orientation: Orientation(exif: 1), stored: try image.resampled(plan))
      case .file(let url):
        return try EncodedPicture.withPicture(at: url, limits: limits) { (picture) throws(DecodingFailure) in
          try decode(picture, over: background, settings, plan)
        }
      case .data(let data):
        return try EncodedPicture.withPicture(in: data, limits: limits) { (picture) throws(DecodingFailure) in
          try decode(picture, over: background, settings, plan)
        }
      }
    } catch {
      throw SimilarityError(error.code, "cannot decode \(CallResult.clean(source.description)): \(error.reason)")
    }
  }

  private func decode(
    _ picture: borrowing EncodedPicture, over background: RGBColor, _ settings: VipsSettings,
    _ plan: (PixelSize) -> ResamplingPlan
  ) throws(DecodingFailure) -> Decoded {
    guard settings.allows(format: picture.format) else { throw DecodingFailure.unsupported }
    // Memory is asked for once, so that no two decodes wait for each other: all that is allowed where the file alone takes
    // much, else what the header says.
    let fileCost = DecodingCost.ofFile(format: picture.format, encodedBytes: picture.encodedBytes)
    try checkMemory(fileCost)
    var memory = MemoryShare(fileCost > MemoryShare.negligible ? limits.memory : 0, of: settings.memoryBudget)
    picture.restartClock(limits)

    let header = try picture.header(shrink: 1, limits)
    let stored = PixelSize(width: Int(header.width), height: Int(header.height))
    guard stored.width > 0, stored.height > 0, max(stored.width, stored.height) <= Self.maximumSide,
      stored.area <= limits.pixels
    else {
      throw DecodingFailure(.imageTooLarge, "\(stored) pixels are more than the limit of \(limits.pixels)")
    }
    let orientation = Orientation(exif: Int(header.orientation))
    let plan = plan(orientation.turned(stored))
    let cost = DecodingCost.ofPixels(format: picture.format, header: header) + fileCost + plan.cut.area * 6
    try checkMemory(cost)
    if memory.bytes == 0 {
      memory = MemoryShare(cost, of: settings.memoryBudget)
      picture.restartClock(limits)
    }

    var (x, y) = plan.storedAxes(orientation)
    let shrink = Self.shrink(format: picture.format, x, y)
    if shrink > 1 {
      let shrunk = try picture.header(shrink: shrink, limits)
      x.size = Int64(shrunk.width)
      y.size = Int64(shrunk.height)
    }
    let pixels = try picture.pixels(x, y, over: background, limits)
    return Decoded(plan: plan, orientation: orientation, stored: pixels)
  }

  private func checkMemory(_ bytes: Int) throws(DecodingFailure) {
    guard bytes <= limits.memory else {
      throw DecodingFailure(.imageTooLarge, "decoding takes \(bytes >> 20) MB, the limit is \(limits.memory >> 20) MB")
    }
  }

  /// The longest side of a picture; libvips's own limit is ten times as much.
  private static let maximumSide = 1_000_000

  /// How far the loader may reduce both sides so that three times the wanted size is left.
  private static func shrink(format: String, _ x: cvips_axis, _ y: cvips_axis) -> Int {
    let factor = Int(min(x.size / x.scaled, y.size / y.scaled)) / 3
    switch format {
    case "jpeg": return [8, 4, 2].first { $0 <= factor } ?? 1
    case "webp": return max(1, factor)
    default: return 1
    }
  }
}

extension RGBImage {
  fileprivate func resampled(_ plan: ResamplingPlan) throws(DecodingFailure) -> [UInt8] {
    let (x, y) = plan.storedAxes(Orientation(exif: 1))
    var status = CVIPS_OK
    let result = unsafe [UInt8](unsafeUninitializedCapacity: plan.cut.area * 3) { buffer, count in
      unsafe buffer.initialize(repeating: 0)
      status = unsafe cvips_resample_rgb(pixels, x, y, buffer.baseAddress)
      count = buffer.count
    }
    guard status == CVIPS_OK else { throw DecodingFailure(.imageTooLarge, "there is not enough memory") }
    return result
  }
}
