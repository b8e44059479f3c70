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
    try unsafe pixels.withUnsafeMutableBufferPointer { (buffer) throws(SimilarityError) in
      let frame = unsafe buffer
      try decode(source, over: geometry.background) {
        ResamplingPlan($0, geometry)
      } render: { (plan, orientation, write) throws(DecodingFailure) in
        var pixels = unsafe frame.mutableSpan
        plan.fillMargins(geometry.background, in: &pixels)
        try unsafe plan.render(orientation, into: frame, write)
      }
    }
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
    return try decode(source, over: background) {
      ResamplingPlan($0, maximumSide: maximumSide)
    } render: { (plan, orientation, write) throws(DecodingFailure) in
      var pixels = [UInt8](repeating: 0, count: plan.frame.area * 3)
      try unsafe pixels.withUnsafeMutableBufferPointer { (frame) throws(DecodingFailure) in
        try unsafe plan.render(orientation, into: frame, write)
      }
      return RGBImage(size: plan.frame, pixels: pixels)
    }
  }

  /// The size of a picture, upright, as its header says; nothing is decoded.
  public func pixelSize(of source: ImageSource) throws(SimilarityError) -> PixelSize {
    try decode(source, over: .white) {
      ResamplingPlan($0, maximumSide: nil)
    } render: { (plan, _, _) throws(DecodingFailure) in
      plan.frame
    }
  }

  /// Gives what `render` makes of the picture's plan and orientation, and of the function that writes the pixels.
  func decode<R>(
    _ source: ImageSource, over background: RGBColor, plan: (PixelSize) -> ResamplingPlan, render: Render<R>
  ) throws(SimilarityError) -> R {
    let settings = VipsSettings.current
    do throws(DecodingFailure) {
      switch source {
      case .pixels(let image):
        let plan = plan(image.size)
        return try render(plan, .upright) { (target) throws(DecodingFailure) in
          try image.resample(plan, into: target)
        }
      case .file(let url):
        return try EncodedPicture.withPicture(at: url, limits: limits) { (picture) throws(DecodingFailure) in
          try decode(picture, over: background, settings, plan, render)
        }
      case .data(let data):
        return try EncodedPicture.withPicture(in: data, limits: limits) { (picture) throws(DecodingFailure) in
          try decode(picture, over: background, settings, plan, render)
        }
      }
    } catch {
      throw SimilarityError(error.code, "cannot decode \(CallResult.clean(source.description)): \(error.reason)")
    }
  }

  typealias Render<R> =
    (ResamplingPlan, Orientation, ResamplingPlan.Write) throws(DecodingFailure) -> R

  private func decode<R>(
    _ picture: borrowing EncodedPicture, over background: RGBColor, _ settings: VipsSettings,
    _ plan: (PixelSize) -> ResamplingPlan, _ render: Render<R>
  ) throws(DecodingFailure) -> R {
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
    var (x, y) = plan.storedAxes(orientation)
    let cost =
      DecodingCost.ofPixels(format: picture.format, header: header) + fileCost + plan.cut.area * 6
      + DecodingCost.ofResampling(x, y)
    try checkMemory(cost)
    if memory.bytes == 0 {
      memory = MemoryShare(cost, of: settings.memoryBudget)
      picture.restartClock(limits)
    }

    let shrink = Self.shrink(format: picture.format, x, y)
    if shrink > 1 {
      let shrunk = try picture.header(shrink: shrink, limits)
      x.size = Int64(shrunk.width)
      y.size = Int64(shrunk.height)
    }
    return try render(plan, orientation) { (target) throws(DecodingFailure) in
      try picture.decode(x, y, over: background, into: target, limits)
    }
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
  fileprivate func resample(_ plan: ResamplingPlan, into target: PixelRows) throws(DecodingFailure) {
    let (x, y) = plan.storedAxes(.upright)
    let status = unsafe cvips_resample(
      pixels, 3, x, y, target.start, Int64(target.rowBytes), cvips_resampling_level())
    guard status == CVIPS_OK else { throw DecodingFailure(.imageTooLarge, "there is not enough memory") }
  }
}
