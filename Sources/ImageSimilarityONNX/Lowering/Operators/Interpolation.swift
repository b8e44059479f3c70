internal import ImageSimilarityCore

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// How ONNX's `Resize` interpolates along one axis.
struct Interpolation: Sendable {
  enum Method: Sendable, Equatable {
    case nearest(Rounding)
    case linear
    /// Keys, "Cubic convolution interpolation for digital image processing", 1981, with its free parameter.
    case cubic(Double)
  }

  enum Rounding: String, Sendable {
    case preferFloor = "round_prefer_floor"
    case preferCeil = "round_prefer_ceil"
    case floor
    case ceil
  }

  enum Coordinates: Sendable, Equatable {
    case halfPixel, halfPixelSymmetric, pytorchHalfPixel, alignCorners, asymmetric, tfHalfPixelForNearest
    /// A part of the axis, in shares of its length.
    case crop(start: Double, end: Double)

    init?(_ name: String) {
      switch name {
      case "half_pixel": self = .halfPixel
      case "half_pixel_symmetric": self = .halfPixelSymmetric
      case "pytorch_half_pixel": self = .pytorchHalfPixel
      case "align_corners": self = .alignCorners
      case "asymmetric": self = .asymmetric
      case "tf_half_pixel_for_nn": self = .tfHalfPixelForNearest
      default: return nil
      }
    }
  }

  var method: Method
  var coordinates: Coordinates
  /// Whether samples outside the axis count nothing; else the outermost ones continue.
  var excludesOutside = false
  /// Whether the filter widens where the axis shrinks.
  var isAntialiased = false

  /// The samples that each output is the weighted sum of; all have the same number.
  ///
  /// - Parameter scale: outputs for each input.
  func taps(from size: Int, to count: Int, scale: Double) -> (indices: [[Int]], weights: [[Float]]) {
    var rows: [[(index: Int, weight: Double)]] = []
    for output in 0..<count {
      let place = position(output, from: size, to: count, scale: scale)
      if case .crop = coordinates, place < 0 || place > Double(size - 1) {
        rows.append([(0, 0)])
      } else {
        rows.append(samples(at: place, of: size, scale: scale))
      }
    }
    let length = rows.reduce(1) { max($0, $1.count) }
    return (
      rows.map { row in row.map(\.index) + [Int](repeating: 0, count: length - row.count) },
      rows.map { row in row.map { Float($0.weight) } + [Float](repeating: 0, count: length - row.count) }
    )
  }

  /// Where an output lies between the inputs.
  private func position(_ output: Int, from size: Int, to count: Int, scale: Double) -> Double {
    let (x, n, m) = (Double(output), Double(size), Double(count))
    switch coordinates {
    case .halfPixel: return (x + 0.5) / scale - 0.5
    case .halfPixelSymmetric: return n / 2 * (1 - m / (n * scale)) + (x + 0.5) / scale - 0.5
    case .pytorchHalfPixel: return count > 1 ? (x + 0.5) / scale - 0.5 : 0
    // The specification counts n * scale outputs, whole or not.
    case .alignCorners: return count > 1 ? x * (n - 1) / (n * scale - 1) : 0
    case .asymmetric: return x / scale
    case .tfHalfPixelForNearest: return (x + 0.5) / scale
    case .crop(let start, let end):
      return count > 1 ? start * (n - 1) + x * (end - start) * (n - 1) / (m - 1) : 0.5 * (start + end) * (n - 1)
    }
  }

  private func samples(at place: Double, of size: Int, scale: Double) -> [(index: Int, weight: Double)] {
    func inside(_ index: Double) -> Int { Int(max(0, min(Double(size - 1), index))) }
    let support: Double
    switch method {
    case .nearest(let rounding): return [(inside(rounding(place)), 1)]
    case .linear: support = 1
    case .cubic: support = 2
    }
    // A filter of unit area, drawn out over the inputs of one output.
    let stretch = isAntialiased ? min(scale, 1) : 1
    var samples: [(index: Int, weight: Double)] = []
    var sum = 0.0
    // Beyond this, all indices are the outermost ones.
    let low = max((place - support / stretch).rounded(.up), -Double(4 * size + 8))
    let high = min((place + support / stretch).rounded(.down), Double(5 * size + 8))
    for index in stride(from: low, through: high, by: 1) {
      let isOutside = index < 0 || index > Double(size - 1)
      let weight = excludesOutside && isOutside ? 0 : response((index - place) * stretch)
      if weight == 0 { continue }
      samples.append((inside(index), weight))
      sum += weight
    }
    guard sum != 0 else { return [(inside(place.rounded()), 1)] }
    return samples.map { ($0.index, $0.weight / sum) }
  }

  /// The filter's weight of a sample at this distance.
  private func response(_ distance: Double) -> Double {
    let x = abs(distance)
    guard case .cubic(let a) = method else { return max(0, 1 - x) }
    if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
  }
}

extension Interpolation.Rounding {
  fileprivate func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .preferFloor: (x - 0.5).rounded(.up)
    case .preferCeil: (x + 0.5).rounded(.down)
    case .floor: x.rounded(.down)
    case .ceil: x.rounded(.up)
    }
  }
}
