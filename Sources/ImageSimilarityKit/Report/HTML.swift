/// Markup. Literals are markup as they stand; what is interpolated is text, and shows as itself whatever it holds.
struct HTML: Sendable, ExpressibleByStringInterpolation {
  private(set) var markup: String

  /// - Parameter markup: is not escaped, so nothing of it may come from a file or a person.
  init(trusted markup: String) { self.markup = markup }
  init(stringLiteral value: String) { markup = value }
  init(stringInterpolation: StringInterpolation) { markup = stringInterpolation.markup }

  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var markup = ""

    init(literalCapacity: Int, interpolationCount: Int) { markup.reserveCapacity(literalCapacity * 2) }
    mutating func appendLiteral(_ literal: String) { markup += literal }
    mutating func appendInterpolation(_ text: String) { HTML.escape(text, into: &markup) }
    mutating func appendInterpolation(_ number: Int) { markup += String(number) }
    mutating func appendInterpolation(_ html: HTML) { markup += html.markup }
  }

  static func + (a: HTML, b: HTML) -> HTML { HTML(trusted: a.markup + b.markup) }

  /// Characters that are shown of one text at most.
  private static let longest = 300

  /// Fit for the contents of an element and for attributes in quotation marks.
  private static func escape(_ text: String, into markup: inout String) {
    for scalar in visible(text).unicodeScalars {
      switch scalar {
      case "&": markup += "&amp;"
      case "<": markup += "&lt;"
      case ">": markup += "&gt;"
      case "\"": markup += "&quot;"
      case "'": markup += "&#39;"
      default: markup.unicodeScalars.append(scalar)
      }
    }
  }

  /// A text as it can be seen: of one without end, the middle is left out; characters that nobody sees, or that turn the
  /// direction of what follows, are named.
  static func visible(_ text: String) -> String {
    if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }), text.utf8.count <= longest { return text }
    var scalars = Substring(text).unicodeScalars
    var end = scalars[scalars.endIndex...]
    if scalars.count > longest {
      end = scalars.suffix(longest / 3)
      scalars = scalars.prefix(longest * 2 / 3)
    }
    var shown = String.UnicodeScalarView()
    func show(_ scalar: Unicode.Scalar) {
      if isShown(scalar) { return shown.append(scalar) }
      let number = String(scalar.value, radix: 16, uppercase: true)
      let zeros = String(repeating: "0", count: max(0, 4 - number.count))
      shown.append(contentsOf: "\u{27E8}U+\(zeros)\(number)\u{27E9}".unicodeScalars)
    }
    for scalar in scalars { show(scalar) }
    if !end.isEmpty { shown.append("\u{2026}") }
    for scalar in end { show(scalar) }
    return String(shown)
  }

  private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .unassigned, .surrogate: false
    // Joiners are parts of emoji and of words; embeddings, overrides and isolates, and what is nothing, are neither.
    case .format:
      !(0x202A...0x202E).contains(scalar.value) && !(0x2066...0x2069).contains(scalar.value) && scalar.value != 0xFEFF
    default: true
    }
  }
}
