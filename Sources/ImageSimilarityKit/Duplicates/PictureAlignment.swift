/// How one picture lies over another that shows the same photograph, or part of it.
struct PictureAlignment: Sendable, Hashable {
  /// A part of a picture in shares of its sides.
  struct Frame: Sendable, Hashable {
    var x: Double
    var y: Double
    var width: Double
    var height: Double

    static let whole = Frame(x: 0, y: 0, width: 1, height: 1)
    var area: Double { width * height }
  }

  /// What must be done to the inner picture before it lies over the outer one.
  var turn: PictureTurn
  /// The part of the outer picture that the inner one shows.
  var frame: Frame
  /// Whether the first of the two pictures is the inner one.
  var firstIsInner: Bool
  /// The median of the blocks' correlation coefficients, from 0 to 1.
  var similarity: Double

  /// The same with the two pictures exchanged.
  var exchanged: PictureAlignment {
    var result = self
    result.firstIsInner.toggle()
    return result
  }

  /// Where a point of the first picture lies in the second, in shares of the sides.
  func map(_ x: Double, _ y: Double) -> (x: Double, y: Double) {
    if firstIsInner {
      let turned = turn.turn(x, y)
      return (frame.x + turned.x * frame.width, frame.y + turned.y * frame.height)
    }
    return turn.turnBack((x - frame.x) / frame.width, (y - frame.y) / frame.height)
  }
}

/// A picture as alignments see it: small, at three sizes.
struct AlignablePicture: Sendable {
  /// The longer side in pixels at most.
  static let side = 64
  private static let coarseSide = 32
  private static let squareSide = 32

  let fine: GreyPicture
  let coarse: GreyPicture
  /// Of 32 x 32 pixels, whatever the shape of the picture.
  let square: GreyPicture
  private let sums: WindowSums

  init(_ fine: GreyPicture) {
    precondition(max(fine.width, fine.height) <= Self.side, "alignments are of pictures of 64 pixels at most")
    self.fine = fine
    let scale = min(1, Double(Self.coarseSide) / Double(max(fine.width, fine.height)))
    coarse = fine.resized(
      width: max(1, Int((Double(fine.width) * scale).rounded())), height: max(1, Int((Double(fine.height) * scale).rounded()))
    )
    square = fine.resized(width: Self.squareSide, height: Self.squareSide)
    sums = WindowSums(coarse)
  }

  /// The turn in which the whole of `other` correlates best with the whole of this picture.
  func bestTurn(of other: AlignablePicture) -> (turn: PictureTurn, correlation: Double) {
    var best = (turn: PictureTurn.none, correlation: -1.0)
    for turn in PictureTurn.allCases {
      let value = Self.correlation(square.pixels, other.square.turned(turn).pixels)
      if value > best.correlation { best = (turn, value) }
    }
    return best
  }

  /// The part of this picture, of half its sides or more, that `inner` correlates best with.
  ///
  /// - Complexity: about 400,000 multiplications.
  func bestFrame(of inner: GreyPicture) -> (frame: PictureAlignment.Frame, correlation: Double) {
    let aspect = Double(inner.height) / Double(inner.width)
    let (outerWidth, outerHeight) = (coarse.width, coarse.height)
    let widest = min(Double(outerWidth), Double(outerHeight) / aspect)
    var best = (frame: PictureAlignment.Frame.whole, correlation: -1.0)
    var tried: (Int, Int) = (0, 0)
    var scale = 1.0
    while scale > 0.49 {
      let width = max(1, min(outerWidth, Int((widest * scale).rounded())))
      let height = max(1, min(outerHeight, Int((widest * scale * aspect).rounded())))
      scale *= 0.95
      if (width, height) == tried || min(width, height) < 4 { continue }
      tried = (width, height)
      let template = inner.resized(width: width, height: height)
      let found = bestPlace(of: template)
      if found.correlation > best.correlation {
        best.correlation = found.correlation
        best.frame = PictureAlignment.Frame(
          x: Double(found.x) / Double(outerWidth), y: Double(found.y) / Double(outerHeight),
          width: Double(width) / Double(outerWidth), height: Double(height) / Double(outerHeight))
      }
    }
    return best
  }

  private func bestPlace(of template: GreyPicture) -> (x: Int, y: Int, correlation: Double) {
    var best = (x: 0, y: 0, correlation: -1.0)
    let count = Double(template.pixels.count)
    let templateSum = Double(template.pixels.reduce(0) { $0 &+ Int($1) })
    let templateSquares = Double(template.pixels.reduce(0) { $0 &+ Int($1) &* Int($1) })
    let templateVariance = count * templateSquares - templateSum * templateSum
    guard templateVariance > 0 else { return best }
    for y in 0...coarse.height - template.height {
      for x in 0...coarse.width - template.width {
        let (sum, squares) = sums.ofWindow(x: x, y: y, width: template.width, height: template.height)
        let variance = count * Double(squares) - Double(sum) * Double(sum)
        guard variance > 0 else { continue }
        let product = Self.product(coarse, x, y, template)
        let correlation =
          (count * Double(product) - Double(sum) * templateSum) / (variance * templateVariance).squareRoot()
        if correlation > best.correlation { best = (x, y, correlation) }
      }
    }
    return best
  }

  private static func product(_ outer: GreyPicture, _ x: Int, _ y: Int, _ template: GreyPicture) -> Int {
    precondition(x >= 0 && y >= 0 && x + template.width <= outer.width && y + template.height <= outer.height)
    return unsafe outer.pixels.withUnsafeBufferPointer { outerPixels in
      unsafe template.pixels.withUnsafeBufferPointer { pixels in
        var total: Int32 = 0
        for row in 0..<template.height {
          let a = unsafe outerPixels.baseAddress! + (y + row) * outer.width + x
          let b = unsafe pixels.baseAddress! + row * template.width
          var sum: Int32 = 0
          for i in 0..<template.width { unsafe sum &+= Int32(a[i]) &* Int32(b[i]) }
          total &+= sum
        }
        return Int(total)
      }
    }
  }

  static func correlation(_ a: [UInt8], _ b: [UInt8]) -> Double {
    var (sa, sb, saa, sbb, sab) = (0, 0, 0, 0, 0)
    for i in 0..<min(a.count, b.count) {
      let (x, y) = (Int(a[i]), Int(b[i]))
      sa &+= x
      sb &+= y
      saa &+= x &* x
      sbb &+= y &* y
      sab &+= x &* y
    }
    let n = Double(a.count)
    let variances = (n * Double(saa) - Double(sa) * Double(sa)) * (n * Double(sbb) - Double(sb) * Double(sb))
    guard variances > 0 else { return 0 }
    return (n * Double(sab) - Double(sa) * Double(sb)) / variances.squareRoot()
  }
}

/// Sums of the pixels, and of their squares, in any window of a picture, in constant time.
private struct WindowSums: Sendable {
  private let stride: Int
  private var sums: [Int32]
  private var squares: [Int32]

  init(_ picture: GreyPicture) {
    stride = picture.width + 1
    sums = [Int32](repeating: 0, count: stride * (picture.height + 1))
    squares = sums
    for y in 0..<picture.height {
      var (sum, square): (Int32, Int32) = (0, 0)
      for x in 0..<picture.width {
        let value = Int32(picture.pixels[y * picture.width + x])
        sum += value
        square += value * value
        sums[(y + 1) * stride + x + 1] = sums[y * stride + x + 1] + sum
        squares[(y + 1) * stride + x + 1] = squares[y * stride + x + 1] + square
      }
    }
  }

  func ofWindow(x: Int, y: Int, width: Int, height: Int) -> (sum: Int32, squares: Int32) {
    let (top, bottom) = (y * stride + x, (y + height) * stride + x)
    return (
      sums[bottom + width] - sums[bottom] - sums[top + width] + sums[top],
      squares[bottom + width] - squares[bottom] - squares[top + width] + squares[top]
    )
  }
}
