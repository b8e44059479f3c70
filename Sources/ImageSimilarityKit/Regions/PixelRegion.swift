public import ImageSimilarityCore

/// A rectangle in a picture: pixels of the upright picture, the top left one at (0, 0).
public struct PixelRegion: Sendable, Hashable, Codable {
  public var x: Int
  public var y: Int
  public var width: Int
  public var height: Int

  public init(x: Int, y: Int, width: Int, height: Int) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }

  /// Number of pixels.
  public var area: Int { width * height }

  /// What both have in common over what either has (Jaccard): from 0, disjoint, to 1, the same.
  public func intersectionOverUnion(_ other: PixelRegion) -> Double {
    let columns = min(x + width, other.x + other.width) - max(x, other.x)
    let rows = min(y + height, other.y + other.height) - max(y, other.y)
    guard columns > 0, rows > 0 else { return 0 }
    return Double(columns * rows) / Double(area + other.area - columns * rows)
  }

  /// In fractions of the sides of a picture of `size`.
  public func relative(to size: PixelSize) -> RelativeRegion {
    RelativeRegion(
      x: Double(x) / Double(size.width), y: Double(y) / Double(size.height),
      width: Double(width) / Double(size.width), height: Double(height) / Double(size.height))
  }
}

/// A rectangle in a picture of any size: fractions of its width and height, from 0 to 1.
public struct RelativeRegion: Sendable, Hashable, Codable {
  public var x: Double
  public var y: Double
  public var width: Double
  public var height: Double

  public init(x: Double, y: Double, width: Double, height: Double) {
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }

  /// The pixels of a picture of `size` that are nearest; at least one.
  public func pixels(of size: PixelSize) -> PixelRegion {
    func span(_ start: Double, _ length: Double, _ side: Int) -> (Int, Int) {
      let first = min(max(Int((start * Double(side)).rounded()), 0), side - 1)
      let end = min(max(Int(((start + length) * Double(side)).rounded()), first + 1), side)
      return (first, end - first)
    }
    let (x, width) = span(x, width, size.width)
    let (y, height) = span(y, height, size.height)
    return PixelRegion(x: x, y: y, width: width, height: height)
  }
}
