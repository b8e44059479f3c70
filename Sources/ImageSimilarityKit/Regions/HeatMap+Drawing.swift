public import ImageSimilarityCore
internal import ImageSimilaritySearch
public import ImageSimilarityVips

extension HeatMap {
  /// The picture, paled, with the contributions over it: from nothing where a part adds least, over yellow, to red where it
  /// adds most.
  ///
  /// - Parameter picture: The upright picture at any size.
  public func render(over picture: RGBImage) -> RGBImage {
    let (low, high) = (contributions.min() ?? 0, contributions.max() ?? 0)
    let range = high > low ? high - low : 1
    let levels = contributions.map { ($0 - low) / range }
    let size = picture.size
    var drawn = picture
    for y in 0..<size.height {
      let row = frame.y + (Double(y) + 0.5) / Double(size.height) * frame.height - 0.5
      for x in 0..<size.width {
        let column = frame.x + (Double(x) + 0.5) / Double(size.width) * frame.width - 0.5
        let level = level(levels, row: row, column: column)
        let i = (y * size.width + x) * 3
        let alpha = 0.15 + 0.5 * level
        let color = [235, 200 * (1 - level) + 20, 30 * (1 - level)]
        let (r, g, b) = (Float(picture.pixels[i]), Float(picture.pixels[i + 1]), Float(picture.pixels[i + 2]))
        let grey = 0.299 * r + 0.587 * g + 0.114 * b
        for channel in 0..<3 {
          let ground = level * Float(picture.pixels[i + channel]) + (1 - level) * (0.6 * grey + 0.4 * 255)
          drawn.pixels[i + channel] = UInt8(min(max(ground + alpha * level * (color[channel] - ground), 0), 255))
        }
      }
    }
    return drawn
  }

  /// Between the centres of cells, in proportion.
  private func level(_ levels: [Float], row: Double, column: Double) -> Float {
    let row = min(max(row, 0), Double(rows - 1))
    let column = min(max(column, 0), Double(columns - 1))
    let (top, left) = (Int(row), Int(column))
    let (bottom, right) = (min(top + 1, rows - 1), min(left + 1, columns - 1))
    let (down, across) = (Float(row - Double(top)), Float(column - Double(left)))
    let above = levels[top * columns + left] * (1 - across) + levels[top * columns + right] * across
    let below = levels[bottom * columns + left] * (1 - across) + levels[bottom * columns + right] * across
    return above * (1 - down) + below * down
  }
}

extension ContactSheet {
  /// The pictures of an explanation, each as it is and with its heat map.
  ///
  /// - Throws: What reading the pictures throws.
  public init(_ explanation: SimilarityExplanation, query: ImageSource, name: String) throws(SimilarityError) {
    let decoder = VipsImageDecoder()
    func tiles(_ source: ImageSource, _ map: HeatMap, name: String, isQuery: Bool) throws(SimilarityError) -> [Tile] {
      let picture = try decoder.decode(source, maximumSide: Self.heatMapSide)
      var framed = map.render(over: picture)
      if let best = map.regions(limit: 1).first {
        framed.drawFrame(best.region.relative(to: map.size).pixels(of: framed.size))
      }
      let share =
        explanation.similarity == 0 ? 0 : (map.regions(limit: 1).first?.contribution ?? 0) / explanation.similarity
      return [
        Tile(source: .pixels(picture), title: isQuery ? "query" : "hit", lines: [name], isQuery: isQuery),
        Tile(
          source: .pixels(framed), title: "what counts",
          lines: ["framed: \(Int((share * 100).rounded())) % of the cosine"],
          isQuery: false),
      ]
    }
    let similarity = (explanation.similarity * 10_000).rounded() / 10_000
    var hit = try tiles(explanation.record.source, explanation.hit, name: explanation.id, isQuery: false)
    hit[0].lines.append("cosine \(similarity)")
    self.init(
      rows: [try tiles(query, explanation.query, name: name, isQuery: true) + hit])
  }

  private static let heatMapSide = 480
}
