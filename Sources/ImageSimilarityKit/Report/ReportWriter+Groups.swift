internal import ImageSimilarityCore

extension ReportWriter {
  mutating func write(_ section: ReportGroups, _ number: Int) throws {
    try write(
      """
      <section aria-labelledby="s\(number)">
      <div class="head"><h2 id="s\(number)"><bdi>\(section.title)</bdi></h2><p>\(section.summary)</p></div>

      """)
    var shown = 0
    for (index, group) in section.groups.enumerated() {
      if isFull { break }
      try write(
        """
        <article class="group" aria-labelledby="s\(number)-\(index)"><div class="head">\
        <h3 id="s\(number)-\(index)"><bdi>\(group.title)</bdi></h3><p>\(group.reason)</p></div>
        <ul class="grid">

        """)
      for member in group.members {
        let best: HTML = member.isBest ? " best" : ""
        try write("<li class=\"card\(best)\" id=\"\(nextAnchor)\">")
        try writePicture(
          member.picture, describes: member.isBest ? "Best" : "", caption: "",
          badge: member.isBest ? "<span class=\"badge\">best</span>" : "")
        try write("</li>\n")
      }
      try write("</ul></article>\n")
      shown += 1
    }
    let rest = section.groups.dropFirst(shown)
    if !rest.isEmpty {
      try leaveOut(
        rest.reduce(0) { $0 + $1.members.count }, "\(rest.count) of the \(section.groups.count) groups are")
    }
    if section.groups.isEmpty { try write("<p class=\"note\">There are none.</p>\n") }
    try write("</section>\n")
  }
}
