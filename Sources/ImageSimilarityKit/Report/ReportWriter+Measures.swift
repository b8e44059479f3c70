internal import ImageSimilarityCore

extension ReportWriter {
  /// Classes that are seen at once.
  private static let firstClasses = 20

  mutating func write(_ section: ReportMeasures, _ number: Int) throws(SimilarityError) {
    try write(
      """
      <section aria-labelledby="s\(number)">
      <div class="head"><h2 id="s\(number)"><bdi>\(section.title)</bdi></h2><p>\(section.summary)</p></div>
      <div class="scroll" role="region" aria-labelledby="s\(number)" tabindex="0"><table>
      <thead><tr><th scope="col">measure</th>
      """)
    for column in section.columns { try write("<th scope=\"col\"><bdi>\(column)</bdi></th>") }
    try write("</tr></thead>\n<tbody>\n")
    for row in section.rows {
      try write("<tr><th scope=\"row\"><bdi>\(row.name)</bdi></th>")
      for estimate in row.estimates {
        try write("<td>\(estimate.map(Self.cell) ?? "<span class=\"faint\">\u{2013}</span>")</td>")
      }
      try write("</tr>\n")
    }
    try write("</tbody></table></div>\n")
    if !section.classes.isEmpty {
      try write(
        "<div class=\"head\"><h3 id=\"s\(number)-c\">Classes</h3><p>\(section.classMeasure), and what they are taken for</p></div>\n"
      )
      try writeClasses(section.classes.prefix(Self.firstClasses), section, number)
      let rest = section.classes.dropFirst(Self.firstClasses)
      if !rest.isEmpty {
        try write("<details><summary>\(rest.count == 1 ? "One more class" : "\(rest.count) more classes")</summary>\n")
        try writeClasses(rest, section, number)
        try write("</details>\n")
      }
    }
    try write("</section>\n")
  }

  private mutating func writeClasses(
    _ classes: ArraySlice<ReportMeasures.Class>, _ section: ReportMeasures, _ number: Int
  ) throws(SimilarityError) {
    try write(
      """
      <div class="scroll" role="region" aria-labelledby="s\(number)-c" tabindex="0"><table class="classes">
      <thead><tr><th scope="col">class</th><th scope="col" class="number">pictures</th><th scope="col">\
      \(section.classMeasure)</th><th scope="col">taken for</th></tr></thead>
      <tbody>

      """)
    for found in classes {
      try write(
        """
        <tr><th scope="row"><bdi>\(found.label)</bdi></th><td class="number">\(found.images)</td>\
        <td>\(Self.cell(found.estimate))</td><td>
        """)
      for (index, confusion) in found.confusions.enumerated() {
        let separator: HTML = index == 0 ? "" : ", "
        try write("\(separator)<bdi>\(confusion.name)</bdi> <span class=\"faint\">\(confusion.value.percent)</span>")
      }
      try write("</td></tr>\n")
    }
    try write("</tbody></table></div>\n")
  }

  private static func cell(_ estimate: ReportMeasures.Estimate) -> HTML {
    var html: HTML = "\(estimate.value.decimal(4))\(bar(estimate.value, interval: estimate.interval))"
    if let interval = estimate.interval {
      html =
        html + "<span class=\"range\">\(interval.lowerBound.decimal(4))\u{2013}\(interval.upperBound.decimal(4))</span>"
    }
    if let note = estimate.note { html = html + "<span class=\"range\">\(note)</span>" }
    return html
  }
}
