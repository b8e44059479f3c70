import Foundation
import ImageSimilarityKit

/// A page with one section of each kind, on which everything that may be hostile is.
enum ReportFixture {
  /// Names that want to be more than text.
  static let names = [
    "<script>window.canary = 1</script>.jpg",
    "\"><img src=x onerror=\"window.canary = 2\">.jpg",
    "' onmouseover='window.canary = 3' x='.jpg",
    "</script><script>window.canary = 4</script>",
    "<!--<script>.jpg", "]]>&lt;b&gt;&amp;.jpg", "</style></title></textarea><svg onload=window.canary=5>",
    "\u{05E9}\u{05DC}\u{05D5}\u{05DD} \u{0645}\u{0631}\u{062D}\u{0628}\u{0627}.jpg",
    "\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467} caf\u{E9} \u{6F22}\u{5B57}.png", "${window.canary = 6}`.jpg",
    String(repeating: "long", count: 60) + ".jpg",
  ]

  static func picture(_ name: String, red: UInt8 = 200, width: Int = 300, height: Int = 200) -> ReportPicture {
    var pixels: [UInt8] = []
    for y in 0..<height {
      for x in 0..<width { pixels += [red, UInt8(x * 255 / width), UInt8(y * 255 / height)] }
    }
    return ReportPicture(
      source: .pixels(RGBImage(size: PixelSize(width: width, height: height), pixels: pixels)), name: name)
  }

  static func hits() -> ReportHits {
    var hits = names.enumerated().map { i, name in
      ReportHit(picture: picture(name, red: UInt8(i * 20)), rank: i + 1, distance: Float(i) / 10)
    }
    hits[0].picture.region = ReportRegion(x: 0.25, y: 0.5, width: 0.5, height: 0.25)
    hits[0].probabilities = [ReportProbability("same picture", 0.93)]
    hits[1].picture.heat = ReportHeatMap(rows: 2, columns: 2, values: [1, 0, 0, 0])
    hits[1].queryHeat = ReportHeatMap(rows: 1, columns: 2, values: [0, 1])
    hits[2].picture.source = .data(Data("no picture".utf8))
    hits[3].picture.source = nil
    return ReportHits(query: picture(names[0], width: 200, height: 300), hits: hits)
  }

  static func page() -> HTMLReport {
    let groups = ReportGroups(
      title: names[0], summary: names[1],
      groups: [
        ReportGroup(
          title: names[2], reason: names[3],
          members: [.init(picture(names[4]), isBest: true), .init(picture(names[5]))])
      ])
    let measures = ReportMeasures(
      title: names[6], summary: names[0], columns: [names[1], "b"],
      rows: [.init("precision", [.init(0.74, interval: 0.72...0.76, note: names[2]), nil])],
      classMeasure: "precision",
      classes: (0..<30).map {
        .init(
          label: names[$0 % names.count], images: $0, estimate: .init(Double($0) / 30),
          confusions: [ReportProbability(names[3], 0.25)])
      })
    let map = ReportMap(
      title: names[3], summary: names[4], groups: Array(names.prefix(5)),
      points: (0..<60).map { i in
        .init(
          name: names[i % names.count], x: Float(i % 10) + Float(i % 5) * 20, y: Float(i / 10), group: i % 5,
          source: picture("", red: UInt8(i * 4)).source)
      } + [.init(name: "nowhere", x: .nan, y: 0, group: 0)])
    return HTMLReport(
      title: names[0], subtitle: names[1],
      sections: [.hits(hits()), .groups(groups), .measures(measures), .map(map)])
  }
}
