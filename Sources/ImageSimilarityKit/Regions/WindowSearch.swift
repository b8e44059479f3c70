internal import ImageSimilarityNN
internal import ImageSimilaritySearch

/// Looks for a crop in one picture: the window of the crop's shape whose blocks are most like the crop's.
///
/// A window's score is the mean cosine between its blocks and the template's. Both parts of a cosine come from inner products
/// that are computed once: of cells with the template's blocks, and of cells with each other. A window then costs no more than
/// the cells that it covers, whatever the number of channels.
struct WindowSearch {
  struct Window: Hashable {
    var rectangle: CellRectangle
    var score: Float
  }

  /// The least part of the picture that is looked for.
  private static let leastArea = 0.1
  /// From one size of windows to the next, and from one window to the next in parts of its side.
  private static let sizeRatio = 1.2
  private static let step = 0.25
  /// How many of the best windows are moved to where they fit best, and how often the steps are halved.
  private static let starts = 3
  private static let halvings = 3

  private let rows: Int
  private let columns: Int
  private let visible: CellRectangle
  /// Width over height of the windows, in cells.
  private let aspect: Double
  private let sides: [Double]
  private let pixelsPerCell: Double
  /// `[cells, scales * blocks]` and `[cells, cells]`.
  private let products: [Float]
  private let gram: [Float]

  init(_ picture: MappedPicture, template: CropTemplate, pixelsPerCell: Double) {
    let cells = picture.map.values
    rows = picture.map.rows
    columns = picture.map.columns
    visible = picture.visible
    let (frame, size) = (picture.frame, picture.size)
    aspect =
      template.aspect * (frame.width / Double(size.width)) / (frame.height / Double(size.height))
    sides = template.scales.map(\.side)
    self.pixelsPerCell = pixelsPerCell
    products = InnerProducts.between(cells, template.directions, dimension: template.channels)
    gram = InnerProducts.between(cells, cells, dimension: template.channels)
  }

  /// The best window.
  ///
  /// - Complexity: O(windows * cells of a block^2)
  func best() -> Window {
    var found = grid().map { Window(rectangle: $0, score: score($0)) }
    found.sort { $0.score > $1.score }
    return found.prefix(Self.starts).map(refined).max { $0.score < $1.score } ?? found[0]
  }

  /// Windows from the largest that fits down to the least area, at even distances.
  private func grid() -> [CellRectangle] {
    var windows: [CellRectangle] = []
    var width = min(visible.width, visible.height * aspect)
    repeat {
      let height = width / aspect
      for y in Self.positions(visible.y, room: visible.height - height, step: Self.step * height) {
        for x in Self.positions(visible.x, room: visible.width - width, step: Self.step * width) {
          windows.append(CellRectangle(x: x, y: y, width: width, height: height))
        }
      }
      width /= Self.sizeRatio
    } while width * width / aspect >= Self.leastArea * visible.width * visible.height
    return windows
  }

  private static func positions(_ start: Double, room: Double, step: Double) -> [Double] {
    let count = room > 1e-9 ? Int((room / step).rounded(.up)) : 0
    return (0...count).map { start + (count == 0 ? 0 : room * Double($0) / Double(count)) }
  }

  /// Moves a window and changes its size for as long as it gets better, in ever smaller steps.
  private func refined(_ window: Window) -> Window {
    var best = window
    var step = Self.step / 2
    for _ in 0..<Self.halvings {
      var isBetter = true
      while isBetter {
        isBetter = false
        for rectangle in neighbors(of: best.rectangle, step: step) {
          let score = score(rectangle)
          if score > best.score {
            best = Window(rectangle: rectangle, score: score)
            isBetter = true
          }
        }
      }
      step /= 2
    }
    return best
  }

  private func neighbors(of window: CellRectangle, step: Double) -> [CellRectangle] {
    let moves: [(Double, Double)] = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    var windows = moves.map { across, down in
      CellRectangle(
        x: window.x + across * step * window.width, y: window.y + down * step * window.height, width: window.width,
        height: window.height)
    }
    for factor in [1 + step, 1 / (1 + step)] {
      let (width, height) = (window.width * factor, window.height * factor)
      windows.append(
        CellRectangle(
          x: window.x + (window.width - width) / 2, y: window.y + (window.height - height) / 2, width: width,
          height: height))
    }
    return windows.compactMap(moved)
  }

  /// Moved into the picture; nil where it is too large or too small.
  private func moved(_ window: CellRectangle) -> CellRectangle? {
    guard window.width <= visible.width + 1e-9, window.height <= visible.height + 1e-9,
      window.width * window.height >= Self.leastArea * visible.width * visible.height
    else { return nil }
    var window = window
    window.x = max(visible.x, min(window.x, visible.x + visible.width - window.width))
    window.y = max(visible.y, min(window.y, visible.y + visible.height - window.height))
    return window
  }

  private func score(_ window: CellRectangle) -> Float {
    let scale = nearestScale(to: max(window.width, window.height) * pixelsPerCell)
    let grid = CropTemplate.grid
    let across = (0..<grid).map {
      CellSpan(window.x + window.width * Double($0) / Double(grid), window.width / Double(grid), count: columns)
    }
    let down = (0..<grid).map {
      CellSpan(window.y + window.height * Double($0) / Double(grid), window.height / Double(grid), count: rows)
    }
    var sum: Float = 0
    for row in 0..<grid {
      for column in 0..<grid {
        sum += cosine(down[row], across[column], product: scale * CropTemplate.blocks + row * grid + column)
      }
    }
    return sum / Float(CropTemplate.blocks)
  }

  private func nearestScale(to side: Double) -> Int {
    func ratio(_ scale: Int) -> Double { max(sides[scale] / side, side / sides[scale]) }
    return sides.indices.min { ratio($0) < ratio($1) } ?? 0
  }

  /// Between the mean of some cells and one of the template's blocks.
  private func cosine(_ down: CellSpan, _ across: CellSpan, product: Int) -> Float {
    let (cells, count) = (rows * columns, products.count / (rows * columns))
    var (inner, square): (Float, Float) = (0, 0)
    for (row, rowWeight) in zip(down.cells, down.weights) {
      for (column, columnWeight) in zip(across.cells, across.weights) {
        let (cell, weight) = (row * columns + column, rowWeight * columnWeight)
        inner += weight * products[cell * count + product]
        for (otherRow, otherRowWeight) in zip(down.cells, down.weights) {
          var part: Float = 0
          for (otherColumn, otherColumnWeight) in zip(across.cells, across.weights) {
            part += otherColumnWeight * gram[cell * cells + otherRow * columns + otherColumn]
          }
          square += weight * otherRowWeight * part
        }
      }
    }
    return square > 0 ? inner / square.squareRoot() : 0
  }
}
