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

  /// - Precondition: no side of `picture` is longer than a cell's.
  mutating func append(_ picture: RGBImage, point: Int) {
    let cell = points.count
    let x = cell % columns * Self.side + (Self.side - picture.size.width) / 2
    let y = cell / columns * Self.side + (Self.side - picture.size.height) / 2
    let rowBytes = picture.size.width * 3
    for row in 0..<picture.size.height {
      let to = ((y + row) * size.width + x) * 3
      pixels.replaceSubrange(to..<to + rowBytes, with: picture.pixels[row * rowBytes..<(row + 1) * rowBytes])
    }
    points.append(point)
  }
}
