import Foundation
import ImageSimilarityCore
import ImageSimilarityVips
import Testing

@Suite struct ContactSheetTests {
  private func tile(_ source: ImageSource, _ title: String, isQuery: Bool = false) -> ContactSheet.Tile {
    ContactSheet.Tile(source: source, title: title, lines: ["name.jpg", "0.123"], isQuery: isQuery)
  }

  @Test func drawsPicturesAtTheirAspectRatio() throws {
    let red = RGBImage(PixelSize(width: 400, height: 200)) { _, _ in RGBColor(red: 200, green: 0, blue: 0) }
    let sheet = try ContactSheet(rows: [[tile(.pixels(red), "query", isQuery: true), tile(.pixels(red), "1")]]).render()
    let rows = (0..<sheet.size.height).filter { y in
      (0..<sheet.size.width).contains { sheet[$0, y] == RGBColor(red: 200, green: 0, blue: 0) }
    }
    #expect(rows.count == 90)
    let row = try #require(rows.first)
    let reds = (0..<sheet.size.width).filter { sheet[$0, row] == RGBColor(red: 200, green: 0, blue: 0) }
    #expect(reds.count == 360)
  }

  @Test func drawsWhatItCannotDecode() throws {
    let missing = ImageSource.file(URL(filePath: "/no/such/picture.jpg"))
    let sheet = ContactSheet(rows: [[tile(missing, "gone")], []])
    let jpeg = try sheet.jpeg()
    #expect(try VipsImageDecoder().decode(.data(jpeg), maximumSide: nil).size == sheet.render().size)
  }

  @Test(arguments: ["<b>&amp;</i> & \u{1} \u{202E}x", "   ", "", String(repeating: "long name ", count: 2000), "ß漢字🙂"])
  func drawsAnyCaption(_ caption: String) throws {
    let white = RGBImage(PixelSize(width: 4, height: 4)) { _, _ in .white }
    let named = ContactSheet.Tile(source: .pixels(white), title: caption, lines: [caption])
    let sheet = try ContactSheet(rows: [[named]]).render()
    // Nothing runs out of its tile into the margin.
    for y in 0..<sheet.size.height { #expect(sheet[sheet.size.width - 10, y] == .white) }
  }

  @Test func needsATile() throws {
    #expect(throws: SimilarityError.self) { try ContactSheet(rows: []).jpeg() }
    let white = ImageSource.pixels(RGBImage(PixelSize(width: 1, height: 1)) { _, _ in .white })
    let wide = ContactSheet(rows: [Array(repeating: tile(white, ""), count: 400)])
    #expect(throws: SimilarityError.self) { try wide.jpeg() }
  }
}
