import CVipsShim
import ImageSimilarityCore

/// Which part of a picture goes where: the upright picture is scaled to `scaled`, `cut` is taken out of it and laid into a
/// frame of size `frame`.
struct ResamplingPlan: Equatable {
  var picture: PixelSize
  var scaled: PixelSize
  var cutOrigin = (x: 0, y: 0)
  var cut: PixelSize
  var frameOrigin = (x: 0, y: 0)
  var frame: PixelSize

  /// Everything scaled to `scaled`.
  init(_ picture: PixelSize, scaled: PixelSize) {
    self.picture = picture
    self.scaled = scaled
    self.cut = scaled
    self.frame = scaled
  }

  /// The aspect ratio kept, no side longer than `maximumSide`, never enlarged.
  init(_ picture: PixelSize, maximumSide: Int?) {
    let longer = max(picture.width, picture.height)
    guard let maximumSide, longer > maximumSide else {
      self.init(picture, scaled: picture)
      return
    }
    func scaled(_ side: Int) -> Int { max(1, (side * maximumSide + longer / 2) / longer) }
    self.init(picture, scaled: PixelSize(width: scaled(picture.width), height: scaled(picture.height)))
  }

  init(_ picture: PixelSize, _ geometry: ImageGeometry) {
    let target = geometry.size
    self.init(picture, scaled: target)
    // Of the two sides, the one that the target's shape leaves least room for when fitted into it.
    let widthBinds = target.width * picture.height <= target.height * picture.width
    switch geometry.resize {
    case .squash: break
    case .pad:
      if widthBinds {
        scaled.height = max(1, (target.width * picture.height * 2 + picture.width) / (picture.width * 2))
      } else {
        scaled.width = max(1, (target.height * picture.width * 2 + picture.height) / (picture.height * 2))
      }
      cut = scaled
      frameOrigin = ((target.width - scaled.width) / 2, (target.height - scaled.height) / 2)
    case .crop:
      // torchvision: the shorter side is rounded, the other cut off (`int`); the margin is rounded to even.
      func enlarged(_ side: Int) -> Int { (side * 256 + 112) / 224 }
      if widthBinds {
        scaled.height = enlarged(target.height)
        scaled.width = max(target.width, scaled.height * picture.width / picture.height)
      } else {
        scaled.width = enlarged(target.width)
        scaled.height = max(target.height, scaled.width * picture.height / picture.width)
      }
      func margin(_ scaled: Int, _ target: Int) -> Int {
        Int((Double(scaled - target) / 2).rounded(.toNearestOrEven))
      }
      cutOrigin = (margin(scaled.width, target.width), margin(scaled.height, target.height))
      cut = target
    }
  }

  static func == (a: ResamplingPlan, b: ResamplingPlan) -> Bool {
    (a.picture, a.scaled, a.cut, a.frame) == (b.picture, b.scaled, b.cut, b.frame)
      && a.cutOrigin == b.cutOrigin && a.frameOrigin == b.frameOrigin
  }

  /// The axes of the picture as it is stored, before `orientation` turns it upright.
  func storedAxes(_ orientation: Orientation) -> (x: cvips_axis, y: cvips_axis) {
    func axis(_ size: Int, _ scaled: Int, _ offset: Int, _ count: Int, isReversed: Bool) -> cvips_axis {
      cvips_axis(
        size: Int64(size), scaled: Int64(scaled), offset: Int64(isReversed ? scaled - offset - count : offset),
        count: Int64(count))
    }
    let x = axis(picture.width, scaled.width, cutOrigin.x, cut.width, isReversed: orientation.reversesX)
    let y = axis(picture.height, scaled.height, cutOrigin.y, cut.height, isReversed: orientation.reversesY)
    return orientation.swapsAxes ? (y, x) : (x, y)
  }

  /// Writes the cut, as it is stored.
  typealias Write = (PixelRows) throws(DecodingFailure) -> Void

  /// Gets the cut from `write`, upright, into the frame.
  ///
  /// - Precondition: `pixels` are those of the frame.
  func render(
    _ orientation: Orientation, into pixels: UnsafeMutableBufferPointer<UInt8>, _ write: Write
  ) throws(DecodingFailure) {
    precondition(pixels.count == frame.area * 3, "the frame has \(frame.area * 3) bytes, not \(pixels.count)")
    if orientation == .upright {
      let origin = (frameOrigin.y * frame.width + frameOrigin.x) * 3
      guard let start = pixels.baseAddress else { return }
      return try unsafe write(PixelRows(start: start + origin, rowBytes: frame.width * 3))
    }
    var stored = [UInt8](repeating: 0, count: cut.area * 3)
    let rowBytes = 3 * (orientation.swapsAxes ? cut.height : cut.width)
    try unsafe stored.withUnsafeMutableBufferPointer { (stored) throws(DecodingFailure) in
      guard let start = stored.baseAddress else { return }
      try unsafe write(PixelRows(start: start, rowBytes: rowBytes))
    }
    var span = unsafe pixels.mutableSpan
    place(stored.span, orientation, in: &span)
  }

  /// Fills what the cut leaves free of the frame.
  func fillMargins(_ color: RGBColor, in pixels: inout MutableSpan<UInt8>) {
    func fill(_ range: Range<Int>) {
      var bytes = pixels._mutatingExtracting(range.lowerBound * 3..<range.upperBound * 3)
      if color.red == color.green, color.green == color.blue {
        bytes.update(repeating: color.red)
        return
      }
      for pixel in 0..<range.count {
        bytes[pixel * 3] = color.red
        bytes[pixel * 3 + 1] = color.green
        bytes[pixel * 3 + 2] = color.blue
      }
    }
    fill(0..<frameOrigin.y * frame.width)
    for y in frameOrigin.y..<frameOrigin.y + cut.height {
      fill(y * frame.width..<y * frame.width + frameOrigin.x)
      fill(y * frame.width + frameOrigin.x + cut.width..<(y + 1) * frame.width)
    }
    fill((frameOrigin.y + cut.height) * frame.width..<frame.area)
  }

  /// Lays the cut, as it is stored, upright into the frame.
  func place(_ stored: Span<UInt8>, _ orientation: Orientation, in pixels: inout MutableSpan<UInt8>) {
    // A step along an upright axis is a step of so many bytes in the stored cut.
    let storedWidth = orientation.swapsAxes ? cut.height : cut.width
    var stepX = 3 * (orientation.swapsAxes ? storedWidth : 1)
    var stepY = 3 * (orientation.swapsAxes ? 1 : storedWidth)
    var start = 0
    if orientation.reversesX {
      start += stepX * (cut.width - 1)
      stepX = -stepX
    }
    if orientation.reversesY {
      start += stepY * (cut.height - 1)
      stepY = -stepY
    }
    for y in 0..<cut.height {
      var from = start + y * stepY
      var to = ((frameOrigin.y + y) * frame.width + frameOrigin.x) * 3
      for _ in 0..<cut.width {
        pixels[to] = stored[from]
        pixels[to + 1] = stored[from + 1]
        pixels[to + 2] = stored[from + 2]
        from += stepX
        to += 3
      }
    }
  }
}

/// The eight ways in which a camera was held (EXIF tag 0x0112), as what turns the stored picture upright.
struct Orientation: Hashable {
  /// Whether the stored rows are the upright columns.
  var swapsAxes = false
  /// Whether the stored axis that becomes the upright x axis runs from right to left.
  var reversesX = false
  /// Whether the stored axis that becomes the upright y axis runs from bottom to top.
  var reversesY = false

  static let upright = Orientation(exif: 1)

  /// - Parameter exif: 1 to 8; anything else counts as 1.
  init(exif: Int) {
    swapsAxes = (5...8).contains(exif)
    reversesX = [2, 3, 6, 7].contains(exif)
    reversesY = [3, 4, 7, 8].contains(exif)
  }

  /// The upright size of a stored size, and the other way round.
  func turned(_ size: PixelSize) -> PixelSize {
    swapsAxes ? PixelSize(width: size.height, height: size.width) : size
  }
}
