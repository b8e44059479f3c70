internal import ImageSimilarityCore
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// A picture as a page holds it.
struct ReportImage: Sendable {
  var size: PixelSize
  /// A data URL.
  var url: HTML
  /// The picture with its heat map, and that of the query with the query's, where there are some.
  var heat: HTML?
}

extension RGBImage {
  func dataURL(quality: Int) throws(SimilarityError) -> HTML {
    HTML(trusted: "data:image/jpeg;base64," + (try jpegData(quality: quality)).base64EncodedString())
  }

  /// The picture as it is where `heat` is at its largest, and dark and grey where it is 0 or less.
  func lit(by heat: ReportHeatMap) -> RGBImage {
    let top = heat.values.reduce(0) { $1.isFinite ? max($0, $1) : $0 }
    let levels = heat.values.map { $0.isFinite && top > 0 ? max(0, $0) / top : 0 }
    let columns = Self.places(size.width, heat.columns)
    var pixels = pixels
    for (y, row) in Self.places(size.height, heat.rows).enumerated() {
      for (x, column) in columns.enumerated() {
        let above = row.first * heat.columns
        let below = row.next * heat.columns
        let upper = levels[above + column.first] * (1 - column.part) + levels[above + column.next] * column.part
        let lower = levels[below + column.first] * (1 - column.part) + levels[below + column.next] * column.part
        let level = upper * (1 - row.part) + lower * row.part
        let i = (y * size.width + x) * 3
        // ITU-R BT.601
        let grey = 0.299 * Float(pixels[i]) + 0.587 * Float(pixels[i + 1]) + 0.114 * Float(pixels[i + 2])
        for channel in i..<i + 3 {
          let dark = 0.3 * grey
          pixels[channel] = UInt8(dark + (Float(pixels[channel]) - dark) * level)
        }
      }
    }
    return RGBImage(size: size, pixels: pixels)
  }

  /// Between which cells of a grid each pixel of a line is, and how far it is from the first to the next.
  private static func places(_ pixels: Int, _ cells: Int) -> [(first: Int, next: Int, part: Float)] {
    (0..<pixels).map { pixel in
      let place = (Float(pixel) + 0.5) / Float(pixels) * Float(cells) - 0.5
      let first = Int(max(0, place))
      return (first, min(first + 1, cells - 1), max(0, place) - Float(first))
    }
  }
}
