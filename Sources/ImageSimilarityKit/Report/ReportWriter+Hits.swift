internal import ImageSimilarityCore
internal import ImageSimilarityVips

extension ReportWriter {
  mutating func write(_ section: ReportHits, _ number: Int) throws {
    let count = section.hits.count
    try write(
      """
      <section aria-labelledby="s\(number)">
      <div class="head"><h2 id="s\(number)"><bdi>\(section.query.name)</bdi></h2>\
      <span class="faint">\(count == 1 ? "1 hit" : "\(count) hits")</span></div>

      """)
    guard !isFull else {
      try leaveOut(1 + count, "A query and its hits are")
      try write("</section>\n")
      return
    }
    try write("<div class=\"pair\">\n<div class=\"query card\" id=\"\(nextAnchor)\">")
    try writePicture(section.query, describes: "Query", caption: "", badge: "<span class=\"badge\">query</span>")
    try write("</div>\n<ol class=\"grid\">\n")
    // The query is decoded again only where a hit has a heat map of it.
    let query =
      section.hits.contains { $0.queryHeat != nil }
      ? try? pixels(section.query.source, side: report.pictureSide).get() : nil
    var shown = 0
    for hit in section.hits {
      if isFull { break }
      var other: HTML?
      if let query, let heat = hit.queryHeat { other = try query.lit(by: heat).dataURL(quality: 80) }
      try write("<li class=\"card\" id=\"\(nextAnchor)\">")
      var caption: HTML = "<span class=\"lines\">distance \(hit.distance.decimal(4))</span>"
      for probability in hit.probabilities {
        caption =
          caption
          + "<span class=\"lines\">\(probability.name) \(probability.value.percent)</span>\(Self.bar(probability.value))"
      }
      try writePicture(
        hit.picture, describes: "Hit \(hit.rank)", other: other, caption: caption,
        badge: "<span class=\"rank\">\(hit.rank)</span>")
      try write("</li>\n")
      shown += 1
    }
    try write("</ol>\n</div>\n")
    if shown < count { try leaveOut(count - shown, "\(count - shown) of the \(count) hits are") }
    if count == 0 { try write("<p class=\"note\">Nothing was found.</p>\n") }
    try write("</section>\n")
  }
}
