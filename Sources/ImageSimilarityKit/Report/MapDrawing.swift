/// A map's points in whole units of the page, and which of them are shown as pictures.
struct MapDrawing {
  /// Units of the map's width; its height follows from the points.
  static let width = 10_000
  /// Space around the points, for dots and pictures at the edge.
  private static let margin = 400
  /// Groups with a look and an entry of their own; smaller ones are one group.
  private static let maximumGroups = 200

  private(set) var height = width
  /// By size, the largest first.
  private(set) var groups: [Group] = []

  struct Group {
    var name: String
    /// Indices into the map's points.
    var members: [Int]
    var center: SIMD2<Double>
    var style = MapStyle(color: nil, shape: 0)
  }

  /// Where each of the map's points is; nil where it is nowhere.
  private(set) var places: [SIMD2<Int>?] = []

  init(_ map: ReportMap) {
    let shown = map.points.filter(Self.isFinite)
    guard let first = shown.first else { return }
    var low = SIMD2(Double(first.x), Double(first.y))
    var high = low
    for point in shown {
      let place = SIMD2(Double(point.x), Double(point.y))
      (low, high) = (pointwiseMin(low, place), pointwiseMax(high, place))
    }
    let extent = high - low
    let inner = Double(Self.width - 2 * Self.margin)
    // A flat cloud is drawn flat, but for what a screen can show.
    let aspect = extent.x > 0 ? min(1.25, max(0.4, extent.y / extent.x)) : 1
    height = Int(inner * aspect) + 2 * Self.margin
    let room = SIMD2(inner, inner * aspect)
    let scale = min(extent.x > 0 ? room.x / extent.x : .infinity, extent.y > 0 ? room.y / extent.y : .infinity)
    let factor = scale.isFinite ? scale : 1
    let offset = (SIMD2(Double(Self.width), Double(height)) - factor * extent) / 2
    places = map.points.map { point in
      guard Self.isFinite(point) else { return nil }
      let place = (SIMD2(Double(point.x), Double(point.y)) - low) * factor + offset
      // Up is where y is larger.
      return SIMD2(Int(place.x.rounded()), height - Int(place.y.rounded()))
    }
    groups = Self.groups(map, places)
    MapStyle.assign(to: &groups)
  }

  var pointCount: Int { groups.reduce(0) { $0 + $1.members.count } }

  /// The diameter of a dot, smaller where there are many.
  var dot: Int { min(140, max(24, Int(3400 / Double(max(1, pointCount)).squareRoot()))) }

  private static func isFinite(_ point: ReportMap.Point) -> Bool { point.x.isFinite && point.y.isFinite }

  private static func groups(_ map: ReportMap, _ places: [SIMD2<Int>?]) -> [Group] {
    var members = [[Int]](repeating: [], count: map.groups.count)
    for (index, point) in map.points.enumerated() where places[index] != nil { members[point.group].append(index) }
    var groups = zip(map.groups, members).filter { !$1.isEmpty }.map { Group(name: $0, members: $1, center: .zero) }
    // Sorting is not stable, so equal sizes need a second key.
    groups.sort { (-$0.members.count, $0.members[0]) < (-$1.members.count, $1.members[0]) }
    if groups.count > maximumGroups {
      let rest = groups[(maximumGroups - 1)...]
      let other = Group(name: "\(rest.count) others", members: rest.flatMap(\.members), center: .zero)
      groups = Array(groups.prefix(maximumGroups - 1)) + [other]
    }
    for i in groups.indices {
      // The median of each coordinate: far members do not matter.
      let own = groups[i].members.compactMap { places[$0] }
      let (x, y) = (own.map(\.x).sorted(), own.map(\.y).sorted())
      groups[i].center = SIMD2(Double(x[x.count / 2]), Double(y[y.count / 2]))
    }
    return groups
  }

  // MARK: Pictures

  /// The member of a group nearest to its middle that has a picture.
  func representative(of group: Group, _ map: ReportMap) -> Int? {
    var best: (index: Int, square: Double)?
    for index in group.members where map.points[index].source != nil {
      guard let place = places[index] else { continue }
      let way = SIMD2(Double(place.x), Double(place.y)) - group.center
      let square = (way * way).sum()
      if square < best?.square ?? .infinity { best = (index, square) }
    }
    return best?.index
  }

  /// Points with pictures, `first` and then again and again the one that is farthest from all before: they are spread evenly.
  ///
  /// - Complexity: O(`limit * points`)
  func spread(_ map: ReportMap, first: [Int], limit: Int) -> [Int] {
    let candidates = map.points.indices.filter { map.points[$0].source != nil && places[$0] != nil }
    guard candidates.count > limit else { return candidates }
    var chosen = Array(first.prefix(limit))
    var squares = [Int](repeating: .max, count: candidates.count)
    func place(_ index: Int) -> SIMD2<Int> { places[index] ?? .zero }
    func shorten(_ index: Int) {
      let center = place(index)
      for (i, candidate) in candidates.enumerated() {
        let way = place(candidate) &- center
        squares[i] = min(squares[i], (way &* way).wrappedSum())
      }
    }
    for index in chosen { shorten(index) }
    while chosen.count < limit {
      guard let next = squares.indices.max(by: { (squares[$0], $1) < (squares[$1], $0) }), squares[next] > 0
      else { break }
      chosen.append(candidates[next])
      shorten(candidates[next])
    }
    return chosen
  }
}

/// How the dots of a group look. There are eight colours that people with any colour vision can tell apart by hue or by
/// lightness (after Okabe and Ito, Color Universal Design, 2008), and four shapes.
struct MapStyle {
  /// From 0 to 7; nil for a neutral one.
  var color: Int?
  /// Full circles, full squares, rings, hollow squares.
  var shape: Int

  static let colors = 8
  static let shapes = 4

  var colorClass: HTML { color.map { "c\($0)" } ?? "rest" }
  var capClass: HTML { shape % 2 == 0 ? "round" : "square" }
  var isHollow: Bool { shape >= 2 }

  /// Gives each group, the largest first, the colour that is farthest away on the map.
  static func assign(to groups: inout [MapDrawing.Group]) {
    var centers = [[SIMD2<Double>]](repeating: [], count: colors)
    for i in groups.indices {
      let center = groups[i].center
      let distances = centers.map { centers in
        centers.reduce(Double.infinity) { min($0, (($1 - center) * ($1 - center)).sum()) }
      }
      var color = 0
      for other in 1..<colors where distances[other] > distances[color] { color = other }
      groups[i].style = MapStyle(color: color, shape: centers[color].count % shapes)
      centers[color].append(center)
    }
  }
}
