#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// A description of a whole picture that does not change where the picture is turned by quarters, mirrored, resized or made
/// brighter.
///
/// The picture is squeezed into a square, and its discrete cosine transform taken. Mirroring changes signs of coefficients;
/// exchanging the sides transposes them. So the sums and the differences of the magnitudes of each coefficient and its
/// transposed one stay. Their square roots keep the few strong ones from outweighing the others.
struct FrameInvariants: Sendable {
  /// Frequencies in each direction.
  private static let frequencies = 8
  private static let side = 32
  /// Number of elements.
  static let dimension = frequencies * frequencies - 1

  private let cosines: [Float]

  init() {
    cosines = (0..<Self.frequencies * Self.side).map { i in
      let (frequency, x) = (i / Self.side, i % Self.side)
      return Float(cos(Double.pi * Double(2 * x + 1) * Double(frequency) / Double(2 * Self.side)))
    }
  }

  /// A vector of length 1; nil where the picture is of one colour.
  func vector(of square: GreyPicture) -> [Float]? {
    let (side, count) = (Self.side, Self.frequencies)
    precondition(square.width == side && square.height == side, "the transform is of pictures of one size")
    var rows = [Float](repeating: 0, count: side * count)
    for y in 0..<side {
      for frequency in 0..<count {
        var sum: Float = 0
        for x in 0..<side { sum += cosines[frequency * side + x] * Float(square.pixels[y * side + x]) }
        rows[y * count + frequency] = sum
      }
    }
    var magnitudes = [Float](repeating: 0, count: count * count)
    for v in 0..<count {
      for u in 0..<count {
        var sum: Float = 0
        for y in 0..<side { sum += cosines[v * side + y] * rows[y * count + u] }
        magnitudes[v * count + u] = abs(sum) * (u == 0 ? Float(0.5).squareRoot() : 1) * (v == 0 ? Float(0.5).squareRoot() : 1)
      }
    }
    var vector: [Float] = []
    for v in 0..<count {
      for u in v..<count where u > 0 {
        let (a, b) = (magnitudes[v * count + u], magnitudes[u * count + v])
        vector.append((a + b).squareRoot())
        if u != v { vector.append(abs(a - b).squareRoot()) }
      }
    }
    let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
    // Less than one grey level in all.
    guard length * length > Float(side * side) else { return nil }
    return vector.map { $0 / length }
  }
}
