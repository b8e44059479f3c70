public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Rows of labelled pictures in one: a query and its hits, say.
///
/// A picture that cannot be decoded is drawn as a grey tile, so that a sheet always comes about.
public struct ContactSheet: Sendable {
  /// A picture and what stands below it.
  public struct Tile: Sendable {
    public var source: ImageSource
    /// One line, bold, for example the rank; cut in the middle where it is too long, as are the others.
    public var title: String
    /// Lines below the title, for example the file name and the distance.
    public var lines: [String]
    /// Set off from the others, as the picture that they are compared with.
    public var isQuery: Bool

    public init(source: ImageSource, title: String, lines: [String] = [], isQuery: Bool = false) {
      self.source = source
      self.title = title
      self.lines = lines
      self.isQuery = isQuery
    }
  }

  public var rows: [[Tile]]
  /// Decodes the pictures.
  public var decoder = VipsImageDecoder()

  public init(rows: [[Tile]]) {
    self.rows = rows
  }

  /// The sheet as a JPEG file.
  ///
  /// Throws ``SimilarityError/Code/invalidArgument`` where there is no tile, or where they are too many for a JPEG file, about
  /// 250 rows or 300 columns.
  public func jpeg(quality: Int = 92) throws(SimilarityError) -> Data {
    try render().jpegData(quality: quality)
  }

  /// Writes the sheet as a JPEG file.
  public func write(to url: URL) throws(SimilarityError) {
    let data = try jpeg()
    do {
      try data.write(to: url, options: .atomic)
    } catch {
      throw SimilarityError(.inputOutput, "cannot write \(url.path): \(error)")
    }
  }

  /// Draws the sheet.
  ///
  /// - Complexity: the memory of the sheet, about 150 KB a tile, and of one decode.
  public func render() throws(SimilarityError) -> RGBImage {
    let columns = rows.map(\.count).max() ?? 0
    guard columns > 0 else { throw SimilarityError(.invalidArgument, "a contact sheet needs at least one tile") }
    let heights = rows.map(Layout.rowHeight)
    let width = 2 * Layout.margin + columns * Layout.tile + (columns - 1) * Layout.gap
    let height = 2 * Layout.margin + heights.reduce(0, +) + (rows.count - 1) * Layout.rowGap
    guard max(width, height) <= 65_500 else {
      throw SimilarityError(
        .invalidArgument,
        "a contact sheet is at most 65500 pixels wide and high; \(rows.count) rows of \(columns) tiles "
          + "take \(width)x\(height)")
    }
    var canvas = Canvas(size: PixelSize(width: width, height: height), color: Layout.paper)
    var y = Layout.margin
    for (row, rowHeight) in zip(rows, heights) {
      for (i, tile) in row.enumerated() {
        try draw(tile, x: Layout.margin + i * (Layout.tile + Layout.gap), y: y, on: &canvas)
      }
      y += rowHeight + Layout.rowGap
    }
    return RGBImage(size: canvas.size, pixels: canvas.pixels)
  }

  private func draw(_ tile: Tile, x: Int, y: Int, on canvas: inout Canvas) throws(SimilarityError) {
    let side = Layout.tile
    if tile.isQuery {
      let inset = Layout.frame
      canvas.fill(x: x - inset, y: y - inset, width: side + 2 * inset, height: side + 2 * inset, Layout.accent)
    }
    canvas.fill(x: x, y: y, width: side, height: side, Layout.mat)
    do throws(SimilarityError) {
      let picture = try decoder.decode(tile.source, maximumSide: side)
      canvas.draw(picture, x: x + (side - picture.size.width) / 2, y: y + (side - picture.size.height) / 2)
    } catch {
      canvas.fill(x: x, y: y, width: side, height: side, Layout.missing)
      try canvas.draw("not readable", centeredIn: side, x: x, y: y + side / 2 - 8, font: Layout.font, Layout.faint)
    }
    var line = y + side + Layout.captionGap
    let ink = tile.isQuery ? Layout.accent : Layout.ink
    try canvas.draw(tile.title, width: side, x: x, y: line, font: Layout.boldFont, ink)
    for text in tile.lines {
      line += Layout.lineHeight
      try canvas.draw(text, width: side, x: x, y: line, font: Layout.font, Layout.faint)
    }
  }

  /// Lengths in pixels.
  private enum Layout {
    static let margin = 32
    static let tile = 180
    static let gap = 20
    static let rowGap = 28
    static let frame = 4
    static let captionGap = 12
    static let lineHeight = 18
    static let font = "Sans 12"
    static let boldFont = "Sans Bold 13"
    static let paper = RGBColor.white
    static let mat = RGBColor(red: 243, green: 244, blue: 246)
    static let missing = RGBColor(red: 209, green: 213, blue: 219)
    static let ink = RGBColor(red: 17, green: 24, blue: 39)
    static let faint = RGBColor(red: 75, green: 85, blue: 99)
    static let accent = RGBColor(red: 29, green: 78, blue: 216)

    static func rowHeight(_ row: [Tile]) -> Int {
      tile + captionGap + lineHeight * (1 + (row.map(\.lines.count).max() ?? 0))
    }
  }
}
