/// Brings a coarse alignment to a fraction of a pixel, and says how well the two pictures agree there.
struct AlignmentRefinement {
  private let outer: GreyPicture
  private let inner: [Float]
  private let width: Int
  private let height: Int
  private let innerSum: Float
  private let innerSquares: Float
  private var sampled: [Float]

  /// - Parameters:
  ///   - inner: A picture that shows about `frame` of `outer`, turned like it.
  init(outer: GreyPicture, inner: GreyPicture, frame: PictureAlignment.Frame) {
    self.outer = outer
    width = max(8, min(inner.width, Int((frame.width * Double(outer.width)).rounded())))
    height = max(8, min(inner.height, Int((frame.height * Double(outer.height)).rounded())))
    self.inner = inner.resized(width: width, height: height).pixels.map(Float.init)
    innerSum = self.inner.reduce(0, +)
    innerSquares = self.inner.reduce(0) { $0 + $1 * $1 }
    sampled = self.inner
  }

  /// Climbs to the frame of the highest correlation nearby.
  mutating func refine(_ start: PictureAlignment.Frame) -> (frame: PictureAlignment.Frame, correlation: Double) {
    var frame = start
    var value = correlation(frame)
    // In pixels of the outer picture.
    var step = 1.0
    var evaluations = 0
    while step >= 0.2, evaluations < 160 {
      var improved = false
      for move in 0..<6 {
        for sign in [-1.0, 1.0] {
          var next = frame
          let (dx, dy) = (sign * step / Double(outer.width), sign * step / Double(outer.height))
          switch move {
          case 0: next.x += dx
          case 1: next.y += dy
          case 2: next.width += dx
          case 3: next.height += dy
          case 4:
            next.x -= dx / 2
            next.width += dx
          default:
            next.y -= dy / 2
            next.height += dy
          }
          next.x = max(-0.02, min(next.x, 0.98))
          next.y = max(-0.02, min(next.y, 0.98))
          next.width = max(0.3, min(next.width, 1.02 - next.x))
          next.height = max(0.3, min(next.height, 1.02 - next.y))
          let nextValue = correlation(next)
          evaluations += 1
          if nextValue > value + 1e-5 {
            (frame, value) = (next, nextValue)
            improved = true
            break
          }
        }
      }
      if !improved { step /= 2 }
    }
    _ = correlation(frame)
    return (frame, Double(value))
  }

  private mutating func correlation(_ frame: PictureAlignment.Frame) -> Float {
    sample(frame)
    var (sum, squares, products): (Float, Float, Float) = (0, 0, 0)
    for i in 0..<sampled.count {
      let value = sampled[i]
      sum += value
      squares += value * value
      products += value * inner[i]
    }
    let count = Float(sampled.count)
    let variances = (count * squares - sum * sum) * (count * innerSquares - innerSum * innerSum)
    return variances > 0 ? (count * products - sum * innerSum) / variances.squareRoot() : 0
  }

  private mutating func sample(_ frame: PictureAlignment.Frame) {
    let columns = Self.taps(frame.x, frame.width, count: width, of: outer.width)
    let rows = Self.taps(frame.y, frame.height, count: height, of: outer.height)
    var i = 0
    for row in rows {
      let (top, bottom) = (row.low * outer.width, row.high * outer.width)
      for column in columns {
        let upper =
          Float(outer.pixels[top + column.low]) * (1 - column.weight) + Float(outer.pixels[top + column.high])
          * column.weight
        let lower =
          Float(outer.pixels[bottom + column.low]) * (1 - column.weight) + Float(outer.pixels[bottom + column.high])
          * column.weight
        sampled[i] = upper + (lower - upper) * row.weight
        i += 1
      }
    }
  }

  private static func taps(_ start: Double, _ length: Double, count: Int, of size: Int) -> [(low: Int, high: Int, weight: Float)] {
    (0..<count).map { i in
      let share = start + (Double(i) + 0.5) / Double(count) * length
      let position = max(0, min(share * Double(size) - 0.5, Double(size - 1)))
      let low = Int(position)
      return (low, min(low + 1, size - 1), Float(position - Double(low)))
    }
  }

  /// The correlation coefficients of the blocks with some texture, ascending, where the two pictures were last compared.
  func blockCorrelations() -> [Float] {
    let block = 8
    let (innerDeviation, outerDeviation) = (Self.deviation(inner), Self.deviation(sampled))
    var found: [Float] = []
    for top in stride(from: 0, through: height - block, by: block / 2) {
      for left in stride(from: 0, through: width - block, by: block / 2) {
        var (sa, sb, saa, sbb, sab): (Float, Float, Float, Float, Float) = (0, 0, 0, 0, 0)
        for y in top..<top + block {
          for x in left..<left + block {
            let (a, b) = (inner[y * width + x], sampled[y * width + x])
            sa += a
            sb += b
            saa += a * a
            sbb += b * b
            sab += a * b
          }
        }
        let n = Float(block * block)
        let (va, vb) = (max(0, saa / n - sa * sa / (n * n)), max(0, sbb / n - sb * sb / (n * n)))
        let texture = max(va.squareRoot() / max(innerDeviation, 1), vb.squareRoot() / max(outerDeviation, 1))
        guard texture > 0.15, max(va, vb) > 9 else { continue }
        let covariance = sab / n - sa * sb / (n * n)
        found.append(covariance / (max(va, 1) * max(vb, 1)).squareRoot())
      }
    }
    return found.sorted()
  }

  private static func deviation(_ values: [Float]) -> Float {
    let mean = values.reduce(0, +) / Float(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count)).squareRoot()
  }
}
