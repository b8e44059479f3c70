import Foundation
import ImageSimilarityKit
import Testing

/// What the file of a page holds, without a browser.
@Suite struct ReportTests {
  @Test func nothingThatIsForeignIsMarkup() throws {
    let folder = try TemporaryFolder()
    let url = folder.url("page.html")
    let summary = try ReportFixture.page().write(to: url)
    #expect(summary.pictures == 1 + 9 + 2 + 60 && summary.unreadable == 2 && summary.leftOut == 0)
    #expect(summary.points == 60)
    let html = try String(contentsOf: url, encoding: .utf8)
    #expect(html.utf8.count == summary.bytes)
    // The page's own script, and the map's data.
    #expect(html.components(separatedBy: "<script").count == 3)
    #expect(html.components(separatedBy: "</script").count == 3)
    #expect(!html.contains("<!--") && !html.contains("http:") && !html.contains("https:"))
  }

  @Test(arguments: [
    ("a\u{202E}gpj.exe", "a\u{27E8}U+202E\u{27E9}gpj.exe"),
    ("a\nb\u{0}", "a\u{27E8}U+000A\u{27E9}b\u{27E8}U+0000\u{27E9}"),
    ("\u{1F469}\u{200D}\u{1F467}", "\u{1F469}\u{200D}\u{1F467}"),
  ])
  func namesWhatNobodySees(_ name: String, _ shown: String) throws {
    let folder = try TemporaryFolder()
    let hits = ReportHits(query: ReportFixture.picture(name), hits: [])
    try HTMLReport(title: "t", sections: [.hits(hits)]).write(to: folder.url("page.html"))
    let html = try String(contentsOf: folder.url("page.html"), encoding: .utf8)
    #expect(html.contains("<bdi>\(shown)</bdi>"))
  }

  @Test func staysWithinItsLimit() throws {
    let folder = try TemporaryFolder()
    var report = HTMLReport(
      title: "t", sections: (0..<5).map { _ in HTMLReport.Section.hits(ReportFixture.hits()) })
    let whole = try report.write(to: folder.url("whole.html"))
    report.maximumBytes = whole.bytes / 2
    let part = try report.write(to: folder.url("part.html"))
    #expect(part.leftOut > 0 && part.pictures + part.unreadable + part.leftOut == 60)
    #expect(part.bytes < whole.bytes / 2 + 64 << 10)
    #expect(try String(contentsOf: folder.url("part.html"), encoding: .utf8).contains("left out"))
  }

  @Test func tellsItsProgress() throws {
    let folder = try TemporaryFolder()
    var steps: [Int] = []
    try ReportFixture.page().write(to: folder.url("page.html")) { done, total in
      #expect(total == 1 + 11 + 2 + 61)
      steps.append(done)
    }
    #expect(steps == Array(1...74))
  }

  @Test func mapsOfOddPoints() throws {
    let folder = try TemporaryFolder()
    let place = { (x: Float, y: Float) in ReportMap.Point(name: "p", x: x, y: y, group: 0) }
    for points in [
      [], [place(.nan, 0)], [place(0, 0)], [place(1e30, 1), place(-1e30, 1)], [place(5, 5), place(5, 5)],
    ] {
      let map = ReportMap(title: "map", groups: ["g"], points: points)
      let summary = try HTMLReport(title: "t", sections: [.map(map)]).write(to: folder.url("page.html"))
      #expect(summary.points == points.filter(\.x.isFinite).count)
    }
  }

  @Test func modelsAsPages() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(at: folder.url("m"), from: .folder(Photos.bundled))
    let layout = try await model.layout()
    #expect(layout.points.map(\.id) == (try model.ids) && layout.clusters >= 1)
    #expect(try await model.layout() == layout)
    #expect(layout.points.allSatisfy { $0.x.isFinite && $0.y.isFinite && $0.cluster < layout.clusters })
    let map = try model.reportMap(layout, coloring: .cluster)
    #expect(map.points.count == model.count && map.groups.count == layout.clusters)
    let url = Photos.bundled.appending(path: "moose.jpg")
    let hits = ReportHits(
      query: .file(url), name: "moose", hits: try await model.query(.file(url), k: 3))
    let measures = ReportMeasures([("m", try await model.evaluate())])
    #expect(measures.rows.count > 3 && measures.columns == ["m"])
    let report = HTMLReport(title: "m", sections: [.hits(hits), .measures(measures), .map(map)])
    let summary = try report.write(to: folder.url("page.html"))
    #expect(summary.pictures == 4 + model.count && summary.unreadable == 0)
  }
}
