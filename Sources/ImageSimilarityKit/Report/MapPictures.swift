internal import ImageSimilarityCore
internal import ImageSimilarityVips

/// Small pictures side by side in one.
struct MapPictures {
  /// Pixels of a cell's side.
  static let side = 64
  private static let mat: UInt8 = 128

  let columns: Int
  let size: PixelSize
  private var pixels: [UInt8]
  /// Which point of the map each cell shows.
  private(set) var points: [Int] = []

  /// - Precondition: `capacity` is at least 1.
  init(capacity: Int) {
    columns = max(1, Int(Double(capacity).squareRoot().rounded(.up)))
    let rows = (capacity + columns - 1) / columns
    size = PixelSize(width: columns * Self.side, height: rows * Self.side)
    pixels = [UInt8](repeating: Self.mat, count: size.area * 3)
  }

  func dataURL() throws(SimilarityError) -> HTML {
    try RGBImage(size: size, pixels: pixels).dataURL(quality: 75)
  }

  /// What a cell's picture is decoded as: its middle, in a square.
  static let geometry = ImageGeometry(size: PixelSize(width: side, height: side), resize: .crop)

  /// - Precondition: `picture` has the size of a cell, and there is room for it.
  mutating func append(_ picture: RGBImage, point: Int) {
    let (column, row) = (points.count % columns, points.count / columns)
    let rowBytes = Self.side * 3
    for y in 0..<Self.side {
      let to = ((row * Self.side + y) * size.width + column * Self.side) * 3
      pixels.replaceSubrange(to..<to + rowBytes, with: picture.pixels[y * rowBytes..<(y + 1) * rowBytes])
    }
    points.append(point)
  }
}
