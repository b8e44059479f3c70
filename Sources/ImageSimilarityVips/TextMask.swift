import CVipsShim
import ImageSimilarityCore

/// One line of text, drawn: the share of each pixel that it covers, 0 to 255.
struct TextMask {
  let size: PixelSize
  /// Where the mask lies, from the left end of the line and the top of the line.
  let origin: (x: Int, y: Int)
  /// `height * width` bytes.
  let coverage: [UInt8]

  /// - Parameters:
  ///   - text: Taken literally.
  ///   - font: A Pango font description, for example `Sans Bold 12`; the size is in pixels.
  /// - Returns: nil where nothing is visible.
  init?(_ text: String, font: String) throws(SimilarityError) {
    guard text.contains(where: { !$0.isWhitespace }) else { return nil }
    try VipsSettings.start()
    var mask: UnsafeMutablePointer<UInt8>?
    var box = cvips_text_box()
    try unsafe CallResult { unsafe cvips_text(Self.markup(text), font, &mask, &box, $0, $1) }.check { _, reason in
      SimilarityError(.invalidArgument, "cannot draw the text “\(text)”: \(reason)")
    }
    guard let mask = unsafe mask else { return nil }
    defer { unsafe cvips_free(mask) }
    size = PixelSize(width: Int(box.width), height: Int(box.height))
    origin = (Int(box.left), Int(box.top))
    coverage = unsafe Array(UnsafeBufferPointer(start: mask, count: size.area))
  }

  /// Pango's markup for `text`; characters that XML does not allow are left out.
  private static func markup(_ text: String) -> String {
    var markup = ""
    for character in CallResult.clean(text) {
      switch character {
      case "<": markup += "&lt;"
      case ">": markup += "&gt;"
      case "&": markup += "&amp;"
      default: markup.append(character)
      }
    }
    return markup
  }
}
