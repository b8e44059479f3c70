public import ImageSimilarityCore
internal import ImageSimilaritySearch
public import ImageSimilarityVips

extension ContactSheet {
  /// A row per crop: the crop, then its hits with their regions framed.
  public init(crops: [(crop: ImageSource, name: String, hits: [RegionHit])]) {
    let decoder = VipsImageDecoder()
    self.init(
      rows: crops.map { row in
        [Tile(source: row.crop, title: "crop", lines: [row.name], isQuery: true)]
          + row.hits.map { Self.tile($0, decoder) }
      })
  }

  /// The longer side of a picture that a frame is drawn on: as sharp as a tile needs.
  private static let framedSide = 360

  private static func tile(_ hit: RegionHit, _ decoder: VipsImageDecoder) -> Tile {
    var source = ImageSource.pixels(RGBImage(size: PixelSize(width: 1, height: 1), pixels: [209, 213, 219]))
    if let file = try? hit.record.source, var picture = try? decoder.decode(file, maximumSide: framedSide) {
      picture.drawFrame(hit.relativeRegion.pixels(of: picture.size))
      source = .pixels(picture)
    }
    let similarity = (hit.similarity * 10_000).rounded() / 10_000
    return Tile(source: source, title: "\(hit.rank)", lines: ["similarity \(similarity)", hit.id])
  }
}

extension RGBImage {
  /// Draws the outline of a region, red between white lines, so that it shows on anything.
  mutating func drawFrame(_ region: PixelRegion) {
    let white = RGBColor.white
    let red = RGBColor(red: 220, green: 38, blue: 38)
    for (inset, color) in [(0, white), (1, red), (2, red), (3, white)] {
      let (left, top) = (region.x + inset, region.y + inset)
      let (right, bottom) = (region.x + region.width - 1 - inset, region.y + region.height - 1 - inset)
      guard left <= right, top <= bottom else { return }
      for x in left...right {
        set(x, top, color)
        set(x, bottom, color)
      }
      for y in top...bottom {
        set(left, y, color)
        set(right, y, color)
      }
    }
  }

  private mutating func set(_ x: Int, _ y: Int, _ color: RGBColor) {
    guard x >= 0, y >= 0, x < size.width, y < size.height else { return }
    let i = (y * size.width + x) * 3
    pixels[i] = color.red
    pixels[i + 1] = color.green
    pixels[i + 2] = color.blue
  }
}
