import ImageSimilarityCore

/// A picture that is drawn on. Everything is cut off at the edges.
struct Canvas {
  let size: PixelSize
  private(set) var pixels: [UInt8]

  init(size: PixelSize, color: RGBColor) {
    self.size = size
    pixels = [UInt8](repeating: 255, count: size.area * 3)
    fill(x: 0, y: 0, width: size.width, height: size.height, color)
  }

  mutating func fill(x: Int, y: Int, width: Int, height: Int, _ color: RGBColor) {
    for row in max(0, y)..<min(size.height, y + height) {
      for column in max(0, x)..<min(size.width, x + width) {
        let i = (row * size.width + column) * 3
        pixels[i] = color.red
        pixels[i + 1] = color.green
        pixels[i + 2] = color.blue
      }
    }
  }

  /// - Precondition: the picture lies within the canvas.
  mutating func draw(_ picture: RGBImage, x: Int, y: Int) {
    let rowBytes = picture.size.width * 3
    for row in 0..<picture.size.height {
      let to = ((y + row) * size.width + x) * 3
      pixels.replaceSubrange(to..<to + rowBytes, with: picture.pixels[row * rowBytes..<(row + 1) * rowBytes])
    }
  }

  /// Draws one line of text with its top left corner at (x, y), no wider than `width`: the middle of a longer one is left out.
  mutating func draw(_ text: String, width: Int, x: Int, y: Int, font: String, _ color: RGBColor)
    throws(SimilarityError)
  {
    if let mask = try Self.fit(text, width: width, font: font) { blend(mask, x: x, y: y, color) }
  }

  /// Draws one short line of text in the middle between x and x + `centeredIn`.
  mutating func draw(
    _ text: String, centeredIn width: Int, x: Int, y: Int, font: String, _ color: RGBColor
  ) throws(SimilarityError) {
    guard let mask = try Self.fit(text, width: width, font: font) else { return }
    blend(mask, x: x + (width - mask.size.width) / 2 - mask.origin.x, y: y, color)
  }

  private static func fit(_ text: String, width: Int, font: String) throws(SimilarityError) -> TextMask? {
    // No character is narrower than a pixel, so that a name without end costs no more than a long one.
    var kept = min(text.count, width)
    while true {
      guard let mask = try TextMask(shortened(text, to: kept), font: font) else { return nil }
      let end = mask.origin.x + mask.size.width
      if end <= width || kept <= 1 { return mask }
      kept = min(kept - 1, kept * width / end)
    }
  }

  /// `text` with its middle replaced by an ellipsis so that `count` characters of it are left.
  static func shortened(_ text: String, to count: Int) -> String {
    guard text.count > count else { return text }
    return "\(text.prefix(count - count / 2))…\(text.suffix(count / 2))"
  }

  private mutating func blend(_ mask: TextMask, x: Int, y: Int, _ color: RGBColor) {
    let ink = [color.red, color.green, color.blue].map(Int.init)
    for row in 0..<mask.size.height {
      let canvasRow = y + mask.origin.y + row
      guard canvasRow >= 0, canvasRow < size.height else { continue }
      for column in 0..<mask.size.width {
        let canvasColumn = x + mask.origin.x + column
        guard canvasColumn >= 0, canvasColumn < size.width else { continue }
        let coverage = Int(mask.coverage[row * mask.size.width + column])
        let i = (canvasRow * size.width + canvasColumn) * 3
        for channel in 0..<3 {
          let paper = Int(pixels[i + channel])
          pixels[i + channel] = UInt8((paper * (255 - coverage) + ink[channel] * coverage + 127) / 255)
        }
      }
    }
  }
}
