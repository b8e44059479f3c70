internal import ImageSimilarityCore
internal import ImageSimilarityNN
internal import ImageSimilarityVips

/// A picture's convolutional map, and where the picture lies on it.
struct MappedPicture: Sendable {
  var map: FeatureMap
  /// The picture's own size, upright.
  let size: PixelSize
  /// Where the whole picture lies, in cells of the map; parts may lie outside, or margins around it.
  let frame: CellRectangle

  init(map: FeatureMap, size: PixelSize, input: ImageGeometry) {
    self.map = map
    self.size = size
    let placement = PicturePlacement(of: size, in: input)
    let (across, down) = (
      Double(map.columns) / Double(input.size.width), Double(map.rows) / Double(input.size.height)
    )
    frame = CellRectangle(
      x: placement.x * across, y: placement.y * down, width: placement.width * across,
      height: placement.height * down)
  }

  /// The part of the picture that the map shows.
  var visible: CellRectangle {
    let (left, top) = (max(frame.x, 0), max(frame.y, 0))
    return CellRectangle(
      x: left, y: top, width: min(frame.x + frame.width, Double(map.columns)) - left,
      height: min(frame.y + frame.height, Double(map.rows)) - top)
  }
}

/// A rectangle on a map, in cells and parts of cells; cell (row, column) reaches from (column, row) to (column + 1, row + 1).
struct CellRectangle: Sendable, Hashable {
  var x: Double
  var y: Double
  var width: Double
  var height: Double

  /// As fractions of the picture that lies at `frame`, cut off at its edges.
  func relative(to frame: CellRectangle) -> RelativeRegion {
    func span(_ start: Double, _ length: Double, _ origin: Double, _ side: Double) -> (Double, Double) {
      let first = min(max((start - origin) / side, 0), 1)
      return (first, min(max((start + length - origin) / side, 0), 1) - first)
    }
    let (x, width) = span(x, width, frame.x, frame.width)
    let (y, height) = span(y, height, frame.y, frame.height)
    return RelativeRegion(x: x, y: y, width: width, height: height)
  }

  /// One of `grid * grid` equal parts.
  func block(row: Int, column: Int, of grid: Int) -> CellRectangle {
    let (width, height) = (width / Double(grid), height / Double(grid))
    return CellRectangle(x: x + Double(column) * width, y: y + Double(row) * height, width: width, height: height)
  }
}

/// The cells that an interval covers along one axis, and the part of the interval that lies in each; the parts add up to 1.
struct CellSpan {
  let cells: Range<Int>
  let weights: [Float]

  init(_ start: Double, _ length: Double, count: Int) {
    let end = min(start + length, Double(count))
    let start = max(start, 0)
    let first = min(max(Int(start), 0), count - 1)
    let last = min(max(Int(end.rounded(.up)), first + 1), count)
    let parts = (first..<last).map { max(0, min(end, Double($0 + 1)) - max(start, Double($0))) }
    let sum = parts.reduce(0, +)
    cells = first..<last
    weights = parts.map { sum > 0 ? Float($0 / sum) : 1 / Float(parts.count) }
  }
}

extension FeatureMap {
  /// The mean over a rectangle, cells that it covers in part counting in part.
  func mean(over rectangle: CellRectangle) -> [Float] {
    let across = CellSpan(rectangle.x, rectangle.width, count: columns)
    let down = CellSpan(rectangle.y, rectangle.height, count: rows)
    var mean = [Float](repeating: 0, count: channels)
    for (row, rowWeight) in zip(down.cells, down.weights) {
      for (column, columnWeight) in zip(across.cells, across.weights) {
        let (weight, start) = (rowWeight * columnWeight, (row * columns + column) * channels)
        for channel in 0..<channels { mean[channel] += weight * values[start + channel] }
      }
    }
    return mean
  }
}
