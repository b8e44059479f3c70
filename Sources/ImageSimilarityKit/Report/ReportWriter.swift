internal import ImageSimilarityCore
internal import ImageSimilarityFiles
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Writes a page from its beginning to its end.
struct ReportWriter: ~Copyable {
  let report: HTMLReport
  private var file: AtomicFile
  private var waiting: [UInt8] = []
  private let progress: ((Int, Int) -> Void)?
  private let total: Int
  private var done = 0
  /// The number of the next picture that has a name on the page.
  private var nextItem = 1
  private(set) var summary = HTMLReport.Summary()

  init(_ report: HTMLReport, _ url: URL, _ progress: ((Int, Int) -> Void)?) throws(SimilarityError) {
    self.report = report
    self.progress = progress
    file = try AtomicFile(url)
    total = report.sections.reduce(0) { $0 + $1.pictures(report.maximumMapPictures) }
  }

  mutating func write(_ html: HTML) throws(SimilarityError) {
    waiting += html.markup.utf8
    if waiting.count >= 1 << 18 { try flush() }
  }

  private mutating func flush() throws(SimilarityError) {
    let bytes = waiting
    waiting = []
    try unsafe file.append(bytes.span.bytes)
  }

  consuming func commit() throws(SimilarityError) -> HTMLReport.Summary {
    try flush()
    summary.bytes = file.length
    let summary = summary
    try file.commit()
    return summary
  }

  var isFull: Bool { file.length + waiting.count >= report.maximumBytes }

  // MARK: The frame of the page

  mutating func writePage() throws {
    let policy =
      "default-src 'none'; img-src data:; style-src 'sha256-\(Self.hash(ReportStyle.text))'; "
      + "script-src 'sha256-\(Self.hash(ReportScript.text))'; base-uri 'none'; form-action 'none'"
    try write(
      """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="\(policy)">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="referrer" content="no-referrer">
      <meta name="color-scheme" content="light dark">
      <meta name="generator" content="ImageSimilarityKit \(Version.current)">
      <link rel="icon" href="data:,">
      <title>\(report.title)</title>
      <style>\(HTML(trusted: ReportStyle.text))</style>
      </head>
      <body>
      <a class="skip" href="#main">Skip to the contents</a>
      <header>
      <div><h1><bdi>\(report.title)</bdi></h1>
      """)
    if !report.subtitle.isEmpty { try write("<p class=\"sub\"><bdi>\(report.subtitle)</bdi></p>") }
    try write(
      """
      </div>
      <fieldset class="switch"><legend class="hidden">Colours</legend>
      <label><input type="radio" name="theme" id="theme-auto" checked>Auto</label>\
      <label><input type="radio" name="theme" id="theme-light">Light</label>\
      <label><input type="radio" name="theme" id="theme-dark">Dark</label></fieldset>

      """)
    try writeNavigation()
    try write("</header>\n<main id=\"main\" tabindex=\"-1\">\n")
    for (number, section) in report.sections.enumerated() {
      switch section {
      case .hits(let hits): try write(hits, number)
      case .groups(let groups): try write(groups, number)
      case .measures(let measures): try write(measures, number)
      case .map(let map): try write(map, number)
      }
    }
    try write("</main>\n")
    try writeFooter()
    try write("<script>\(HTML(trusted: ReportScript.text))</script>\n</body>\n</html>\n")
  }

  private mutating func writeNavigation() throws(SimilarityError) {
    let hasHeat = report.sections.contains(where: \.hasHeat)
    guard report.sections.count > 1 || hasHeat else { return }
    try write("<nav aria-label=\"Sections\"><ul>\n")
    if report.sections.count > 1 {
      // A page of a thousand queries needs no list of them.
      for (number, section) in report.sections.enumerated().prefix(40) {
        try write("<li><a href=\"#s\(number)\"><bdi>\(section.title)</bdi></a></li>\n")
      }
      if report.sections.count > 40 { try write("<li class=\"faint\">and \(report.sections.count - 40) more</li>") }
    }
    if hasHeat {
      try write("<li><label><input type=\"checkbox\" id=\"heat\"> Show what they have in common</label></li>")
    }
    try write("</ul></nav>\n")
  }

  private mutating func writeFooter() throws(SimilarityError) {
    var facts = [summary.pictures == 1 ? "1 picture" : "\(summary.pictures) pictures"]
    if summary.unreadable > 0 { facts.append("\(summary.unreadable) not readable") }
    if summary.leftOut > 0 { facts.append("\(summary.leftOut) left out to keep the page small") }
    try write("<footer>\n<p>\(facts.joined(separator: ", ")). Everything is inside this file.</p>\n")
    if nextItem > 1 {
      try write(
        """
        <p><kbd>j</kbd> <kbd>k</kbd> or the arrow keys go from picture to picture, <kbd>Enter</kbd> shows one large, \
        <kbd>Esc</kbd> goes back.</p>

        """)
    }
    try write("</footer>\n")
    guard nextItem > 1 else { return }
    try write(
      """
      <dialog id="view" aria-label="Larger view"><div class="view">
      <div class="bars"><button type="button" class="previous" aria-label="Previous picture">\u{2190}</button>\
      <button type="button" class="next" aria-label="Next picture">\u{2192}</button><output aria-live="polite"></output>\
      <button type="button" class="close">Close</button></div>
      <div class="both"></div><div class="caption"></div>
      </div></dialog>

      """)
  }

  /// The hash of an inline style or script, as the policy names it.
  private static func hash(_ text: String) -> String {
    let digits = Array(SHA256.hexDigest(of: Data(text.utf8)))
    let bytes = stride(from: 0, to: digits.count, by: 2).compactMap { UInt8(String(digits[$0...$0 + 1]), radix: 16) }
    return Data(bytes).base64EncodedString()
  }

  // MARK: Pictures

  /// A picture with its caption, as the contents of a card.
  ///
  /// - Parameters:
  ///   - describes: what a screen reader says before the picture's name.
  ///   - other: another picture's heat map to show with it.
  mutating func writePicture(
    _ picture: ReportPicture, describes: String, other: HTML? = nil, caption: HTML, badge: HTML = ""
  ) throws {
    try Task.checkCancellation()
    let item = nextItem
    let name = describes.isEmpty ? picture.name : "\(describes): \(picture.name)"
    switch try decoded(picture) {
    case .success(let image):
      try write(
        """
        <a class="frame" href="#p\(item)" id="a\(item)"><img src="\(image.url)" alt="\(name)" width="\(image.size.width)" \
        height="\(image.size.height)" decoding="async">
        """)
      if let heat = image.heat { try write("<img class=\"heat\" src=\"\(heat)\" alt=\"\">") }
      if let other { try write("<img class=\"heat other\" src=\"\(other)\" alt=\"\" hidden>") }
      if let region = picture.region { try write(Self.outline(region, image.size)) }
      summary.pictures += 1
    case .failure(let error):
      try write(
        """
        <a class="frame" href="#p\(item)" id="a\(item)"><span class="missing"><b>not readable</b>\
        <small>\(error.message)</small></span><span class="hidden">\(name)</span>
        """)
      summary.unreadable += 1
    }
    try write("</a>\n<div class=\"cap\">\(badge)<bdi class=\"name\" title=\"\(picture.name)\">\(picture.name)</bdi>")
    for line in picture.lines { try write("<span class=\"lines\"><bdi>\(line)</bdi></span>") }
    try write("\(caption)</div>\n")
    nextItem += 1
    count()
  }

  /// The name that the next picture has on the page.
  var nextAnchor: HTML { "p\(nextItem)" }

  private func decoded(_ picture: ReportPicture) throws(SimilarityError) -> Result<ReportImage, SimilarityError> {
    switch try pixels(picture.source, side: report.pictureSide) {
    case .failure(let error): return .failure(error)
    case .success(let pixels):
      let heat = try picture.heat.map { heat throws(SimilarityError) in try pixels.lit(by: heat).dataURL(quality: 80) }
      return .success(ReportImage(size: pixels.size, url: try pixels.dataURL(quality: 80), heat: heat))
    }
  }

  /// A picture in pixels, or what is wrong with it.
  func pixels(_ source: ImageSource?, side: Int) throws(SimilarityError) -> Result<RGBImage, SimilarityError> {
    guard let source else {
      return .failure(SimilarityError(.imageUnreadable, "it is not known where the picture is"))
    }
    let decoder = report.decoder
    return try Self.readable { () throws(SimilarityError) in try decoder.decode(source, maximumSide: side) }
  }

  /// What `decode` returns, or what is wrong with the picture.
  static func readable(
    _ decode: () throws(SimilarityError) -> RGBImage
  ) throws(SimilarityError) -> Result<RGBImage, SimilarityError> {
    do throws(SimilarityError) {
      return .success(try decode())
    } catch {
      guard error.code.isAboutImage else { throw error }
      return .failure(error)
    }
  }

  mutating func count() {
    done += 1
    progress?(done, total)
  }

  mutating func countPictures(_ pictures: Int, unreadable: Int, points: Int) {
    summary.pictures += pictures
    summary.unreadable += unreadable
    summary.points += points
  }

  /// Says that pictures are missing because the page is full.
  mutating func leaveOut(_ pictures: Int, _ what: String) throws(SimilarityError) {
    summary.leftOut += pictures
    done += pictures
    let limit = max(1, report.maximumBytes >> 20)
    try write("<p class=\"note\">\(what) left out: the page is at its limit of \(limit) MB.</p>\n")
  }

  private static func outline(_ region: ReportRegion, _ size: PixelSize) -> HTML {
    func clamped(_ value: Double) -> Double { value.isFinite ? min(1, max(0, value)) : 0 }
    let (left, top) = (clamped(region.x), clamped(region.y))
    let (right, bottom) = (clamped(region.x + region.width), clamped(region.y + region.height))
    let shape: HTML = """
      x="\(Int(left * Double(size.width)))" y="\(Int(top * Double(size.height)))" \
      width="\(Int((right - left) * Double(size.width)))" height="\(Int((bottom - top) * Double(size.height)))" rx="4"
      """
    return """
      <svg class="region" viewBox="0 0 \(size.width) \(size.height)" aria-hidden="true"><rect class="edge" \(shape)/>\
      <rect class="core" \(shape)/></svg>
      """
  }

  /// A value from 0 to 1 as a bar, with its interval.
  static func bar(_ value: Double, interval: ClosedRange<Double>? = nil) -> HTML {
    func thousandths(_ value: Double) -> Int { value.isFinite ? Int((min(1, max(0, value)) * 1000).rounded()) : 0 }
    let whisker: HTML =
      interval.map { interval in
        "<path class=\"whisker\" d=\"M\(thousandths(interval.lowerBound)) 3H\(thousandths(interval.upperBound))\"/>"
      } ?? ""
    return """
      <svg class="bar" viewBox="0 0 1000 6" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="1000" \
      height="6" rx="3"/><rect class="value" width="\(thousandths(value))" height="6" rx="3"/>\(whisker)</svg>
      """
  }
}

extension HTMLReport.Section {
  var title: String {
    switch self {
    case .hits(let hits): hits.query.name
    case .groups(let groups): groups.title
    case .measures(let measures): measures.title
    case .map(let map): map.title
    }
  }

  var hasHeat: Bool {
    if case .hits(let hits) = self { return hits.hits.contains { $0.picture.heat != nil || $0.queryHeat != nil } }
    return false
  }

  /// Pictures to show, at most.
  func pictures(_ maximumMapPictures: Int) -> Int {
    switch self {
    case .hits(let hits): 1 + hits.hits.count
    case .groups(let groups): groups.groups.reduce(0) { $0 + $1.members.count }
    case .measures: 0
    case .map(let map): min(map.points.count, maximumMapPictures)
    }
  }
}
