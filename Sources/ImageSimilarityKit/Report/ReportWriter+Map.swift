internal import ImageSimilarityCore
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ReportWriter {
  /// Pictures that are drawn on the map itself.
  private static let maximumMarks = 60
  /// The side of one, in the units of ``MapDrawing/width``.
  private static let mark = 460
  /// Bytes of the names of points at most; later points have none.
  private static let maximumNameBytes = 6 << 20

  mutating func write(_ map: ReportMap, _ number: Int) throws {
    let drawing = MapDrawing(map)
    try write(
      """
      <section aria-labelledby="s\(number)" class="map" data-points="\(drawing.pointCount)">
      <div class="head"><h2 id="s\(number)"><bdi>\(map.title)</bdi></h2><p>\(map.summary)</p></div>

      """)
    guard drawing.pointCount > 0 else {
      try write("<p class=\"note\">There is nothing to show.</p>\n</section>\n")
      return
    }
    let representatives = drawing.groups.compactMap { drawing.representative(of: $0, map) }
    let pictures = try readPictures(
      map, drawing.spread(map, first: representatives, limit: max(0, report.maximumMapPictures)))
    try writeStage(map, drawing, pictures, representatives, number)
    try writeTools(hasPictures: !pictures.points.isEmpty)
    try writeLegend(drawing)
    let order = drawing.groups.flatMap(\.members)
    try writeData(map, drawing, pictures, order)
    let missing = order.count - pictures.points.count
    if missing > 0, !pictures.points.isEmpty {
      try write(
        """
        <p class="note">\(pictures.points.count) of the \(order.count) pictures are in the page, evenly spread over the map; \
        the others are points.</p>

        """)
    }
    try write("</section>\n")
    countPictures(pictures.points.count, unreadable: 0, points: order.count)
  }

  private mutating func readPictures(_ map: ReportMap, _ chosen: [Int]) throws -> MapPictures {
    var pictures = MapPictures(capacity: max(1, chosen.count))
    for point in chosen {
      try Task.checkCancellation()
      guard let source = map.points[point].source else { continue }
      let decoder = report.decoder
      switch try Self.readable({ () throws(SimilarityError) in try decoder.decode(source, as: MapPictures.geometry) }) {
      case .success(let image): pictures.append(image, point: point)
      case .failure: countPictures(0, unreadable: 1, points: 0)
      }
      count()
    }
    return pictures
  }

  private mutating func writeStage(
    _ map: ReportMap, _ drawing: MapDrawing, _ pictures: MapPictures, _ representatives: [Int], _ number: Int
  ) throws(SimilarityError) {
    let (width, height, dot) = (MapDrawing.width, drawing.height, drawing.dot)
    let count = drawing.pointCount
    try write(
      """
      <div class="stage" tabindex="0" role="application" aria-roledescription="map" aria-describedby="s\(number)-k" \
      aria-label="Map of \(count == 1 ? "1 picture" : "\(count) pictures") in \(drawing.groups.count) groups">
      <svg viewBox="0 0 \(width) \(height)" role="img" aria-label="Each dot is a picture; near dots look alike">

      """)
    if !pictures.points.isEmpty {
      try write(
        """
        <defs><image id="s\(number)-i" href="\(try pictures.dataURL())" width="\(pictures.size.width)" \
        height="\(pictures.size.height)"/></defs>

        """)
    }
    try write("<g class=\"dots\" stroke-width=\"\(dot)\">\n")
    for group in drawing.groups {
      var path = ""
      path.reserveCapacity(group.members.count * 13)
      for member in group.members {
        guard let place = drawing.places[member] else { continue }
        path += "M\(place.x) \(place.y)h0"
      }
      let (style, data) = (group.style, HTML(trusted: path))
      try write("<g><path class=\"\(style.capClass) \(style.colorClass)\" d=\"\(data)\"/>")
      if style.isHollow {
        try write("<path class=\"\(style.capClass) hole\" stroke-width=\"\(dot * 9 / 20)\" d=\"\(data)\"/>")
      }
      try write("</g>\n")
    }
    try write("</g>\n<g class=\"marks\">\n")
    try writeMarks(map, drawing, pictures, representatives, number)
    try write(
      """
      </g><circle class="cursor" r="\(dot)" stroke-width="\(dot / 3)"/></svg>
      <div class="tip" aria-live="polite">
      """)
    if !pictures.points.isEmpty {
      try write("<svg viewBox=\"0 0 64 64\" aria-hidden=\"true\"><use href=\"#s\(number)-i\"/></svg>")
    }
    try write(
      """
      <div><bdi></bdi><span></span></div></div>
      </div>
      <p class="hidden" id="s\(number)-k">The arrow keys go to the next picture in their direction, plus and minus change the \
      scale, 0 shows all.</p>

      """)
  }

  /// A picture of each group where there is room, the largest groups first.
  private mutating func writeMarks(
    _ map: ReportMap, _ drawing: MapDrawing, _ pictures: MapPictures, _ representatives: [Int], _ number: Int
  ) throws(SimilarityError) {
    let cells = Dictionary(pictures.points.enumerated().map { ($1, $0) }) { first, _ in first }
    var taken: [SIMD2<Int>] = []
    for point in representatives where taken.count < Self.maximumMarks {
      guard let cell = cells[point], let place = drawing.places[point] else { continue }
      guard !taken.contains(where: { max(abs($0.x - place.x), abs($0.y - place.y)) < Self.mark * 21 / 20 })
      else { continue }
      taken.append(place)
      let (side, half) = (MapPictures.side, Self.mark / 2)
      let (column, row) = (cell % pictures.columns, cell / pictures.columns)
      try write(
        """
        <svg x="\(place.x - half)" y="\(place.y - half)" width="\(Self.mark)" height="\(Self.mark)" data-x="\(place.x)" \
        data-y="\(place.y)" viewBox="\(column * side) \(row * side) \(side) \(side)" role="img">\
        <title>\(map.points[point].name)</title><use href="#s\(number)-i"/><rect x="\(column * side)" y="\(row * side)" \
        width="\(side)" height="\(side)" stroke-width="4"/></svg>

        """)
    }
  }

  private mutating func writeTools(hasPictures: Bool) throws(SimilarityError) {
    try write("<div class=\"tools\">")
    if hasPictures {
      try write("<label><input type=\"checkbox\" class=\"show-marks\" checked>Pictures on the map</label>")
    }
    try write(
      """
      <div class="zoom"><button type="button" class="out" aria-label="Smaller">\u{2212}</button>\
      <button type="button" class="in" aria-label="Larger">+</button>\
      <button type="button" class="whole">All</button></div></div>

      """)
  }

  private mutating func writeLegend(_ drawing: MapDrawing) throws(SimilarityError) {
    try write("<ul class=\"legend\" aria-label=\"Groups, the largest first\">\n")
    for group in drawing.groups {
      let style = group.style
      let hole: HTML =
        style.isHollow ? "<path class=\"\(style.capClass) hole\" stroke-width=\"4\" d=\"M6 6h0\"/>" : ""
      try write(
        """
        <li><button type="button" aria-pressed="false"><svg viewBox="0 0 12 12" aria-hidden="true">\
        <path class="\(style.capClass) \(style.colorClass)" stroke-width="9" d="M6 6h0"/>\(hole)</svg>\
        <bdi>\(group.name)</bdi><span class="count">\(group.members.count)</span></button></li>

        """)
    }
    try write("</ul>\n")
  }

  /// What the script shows of a point, in the order of the points in the paths.
  private struct MapData: Encodable {
    var names: [String]
    var groups: [String]
    /// Which point each picture shows.
    var pictures: [Int]
    var columns: Int
    var side = MapPictures.side
    var dot: Int
    var mark: Int
  }

  private mutating func writeData(
    _ map: ReportMap, _ drawing: MapDrawing, _ pictures: MapPictures, _ order: [Int]
  ) throws {
    var bytes = 0
    var names: [String] = []
    for point in order {
      let name = HTML.visible(map.points[point].name)
      bytes += name.utf8.count
      if bytes > Self.maximumNameBytes { break }
      names.append(name)
    }
    let ranks = Dictionary(order.enumerated().map { ($1, $0) }) { first, _ in first }
    let data = MapData(
      names: names, groups: drawing.groups.map { HTML.visible($0.name) },
      pictures: pictures.points.compactMap { ranks[$0] },
      columns: pictures.columns, dot: drawing.dot, mark: Self.mark)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let json = String(decoding: try encoder.encode(data), as: UTF8.self)
    // Nothing in it can end the element: "<" stands in strings only, where it has another spelling.
    let safe = json.split(separator: "<", omittingEmptySubsequences: false).joined(separator: "\\u003c")
    try write("<script type=\"application/json\">\(HTML(trusted: safe))</script>\n")
  }
}
