/// A small picture of one channel, 8 bits, row-major without padding.
struct GreyPicture: Sendable, Hashable {
  let width: Int
  let height: Int
  /// `height * width` bytes, top row first.
  let pixels: [UInt8]

  init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(width > 0 && height > 0 && pixels.count == width * height, "a grey picture has a byte a pixel")
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// The mean of the pixels that each pixel of the result covers, by area; enlarges by repeating.
  ///
  /// - Complexity: O(`width * height + self.width * height`)
  func resized(width newWidth: Int, height newHeight: Int) -> GreyPicture {
    if newWidth == width && newHeight == height { return self }
    let columns = Self.shares(from: width, to: newWidth)
    let rows = Self.shares(from: height, to: newHeight)
    var narrow = [Float](repeating: 0, count: newWidth * height)
    for y in 0..<height {
      for (x, share) in columns.enumerated() {
        var sum: Float = 0
        for (i, weight) in share.weights.enumerated() { sum += weight * Float(pixels[y * width + share.start + i]) }
        narrow[y * newWidth + x] = sum
      }
    }
    var result = [UInt8](repeating: 0, count: newWidth * newHeight)
    for (y, share) in rows.enumerated() {
      for x in 0..<newWidth {
        var sum: Float = 0
        for (i, weight) in share.weights.enumerated() { sum += weight * narrow[(share.start + i) * newWidth + x] }
        result[y * newWidth + x] = UInt8(min(255, max(0, sum.rounded())))
      }
    }
    return GreyPicture(width: newWidth, height: newHeight, pixels: result)
  }

  /// For each of `target` equal parts of `source` pixels, the pixels that it covers and their shares of it.
  private static func shares(from source: Int, to target: Int) -> [(start: Int, weights: [Float])] {
    let scale = Double(source) / Double(target)
    return (0..<target).map { i in
      let (low, high) = (Double(i) * scale, min(Double(i + 1) * scale, Double(source)))
      let start = min(Int(low), source - 1)
      let end = max(start + 1, min(source, Int(high.rounded(.up))))
      let overlaps = (start..<end).map { Float(min(high, Double($0 + 1)) - max(low, Double($0))) }
      let sum = overlaps.reduce(0, +)
      return (start, overlaps.map { $0 / sum })
    }
  }

  /// The value at a point in shares of the sides, between pixels; nil outside of the picture.
  func value(_ x: Double, _ y: Double) -> Float? {
    guard x >= 0, x <= 1, y >= 0, y <= 1 else { return nil }
    let (px, py) = (
      max(0, min(x * Double(width) - 0.5, Double(width - 1))), max(0, min(y * Double(height) - 0.5, Double(height - 1)))
    )
    let (left, top) = (Int(px), Int(py))
    let (right, bottom) = (min(left + 1, width - 1), min(top + 1, height - 1))
    let (wx, wy) = (Float(px - Double(left)), Float(py - Double(top)))
    let pixel = { (x: Int, y: Int) in Float(pixels[y * width + x]) }
    let upper = pixel(left, top) + (pixel(right, top) - pixel(left, top)) * wx
    let lower = pixel(left, bottom) + (pixel(right, bottom) - pixel(left, bottom)) * wx
    return upper + (lower - upper) * wy
  }

  /// The picture turned or mirrored.
  func turned(_ turn: PictureTurn) -> GreyPicture {
    if turn == .none { return self }
    let (newWidth, newHeight) = turn.exchangesSides ? (height, width) : (width, height)
    var result = [UInt8](repeating: 0, count: pixels.count)
    for y in 0..<newHeight {
      for x in 0..<newWidth {
        var (fromX, fromY) = turn.exchangesSides ? (y, x) : (x, y)
        if turn.mirrorsX { fromX = width - 1 - fromX }
        if turn.mirrorsY { fromY = height - 1 - fromY }
        result[y * newWidth + x] = pixels[fromY * width + fromX]
      }
    }
    return GreyPicture(width: newWidth, height: newHeight, pixels: result)
  }
}

/// The eight ways to lay a picture over another: by quarter turns, mirrored or not.
public enum PictureTurn: String, Sendable, Hashable, Codable, CaseIterable {
  case none
  case mirrored
  /// By a half turn.
  case turned180 = "turned-180"
  /// Top and bottom exchanged.
  case flipped
  /// Mirrored at the diagonal from the top left.
  case transposed
  /// By a quarter turn clockwise.
  case turned90 = "turned-90"
  /// By a quarter turn anticlockwise.
  case turned270 = "turned-270"
  /// Mirrored at the diagonal from the top right.
  case transversed

  var exchangesSides: Bool {
    switch self {
    case .none, .mirrored, .turned180, .flipped: false
    case .transposed, .turned90, .turned270, .transversed: true
    }
  }

  // Of the source's coordinates, once the sides are exchanged.
  fileprivate var mirrorsX: Bool { [.mirrored, .turned180, .turned270, .transversed].contains(self) }
  fileprivate var mirrorsY: Bool { [.flipped, .turned180, .turned90, .transversed].contains(self) }

  /// Where a point of the turned picture was in the source, in shares of the sides.
  func turnBack(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
    let (x, y) = exchangesSides ? (y, x) : (x, y)
    return (mirrorsX ? 1 - x : x, mirrorsY ? 1 - y : y)
  }

  /// Where a point of the source comes to be in the turned picture.
  func turn(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
    let (x, y) = (mirrorsX ? 1 - x : x, mirrorsY ? 1 - y : y)
    return exchangesSides ? (y, x) : (x, y)
  }
}
