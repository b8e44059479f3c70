internal import ImageSimilarityCore

/// Bounds on what a file may ask for.
enum TensorLimits {
  /// Elements of one tensor: 1 GiB of them.
  static let elements = 1 << 28
  /// Elements that a whole network writes for one picture.
  static let totalElements = 1 << 33
  /// Elements that all constants of a network have which are computed when it is read.
  static let constantElements = 1 << 29
  /// Axes that kernels walk along.
  static let rank = 8
  /// A window's size, step, dilation or padding along one axis.
  static let window = 1 << 16

  /// `shape`, if a tensor can have it.
  static func check(_ shape: [Int]) throws(SimilarityError) -> [Int] {
    var count = 1
    for size in shape {
      guard size > 0 else {
        throw size == 0
          ? unsupported("a tensor of shape \(shape) has no elements") : malformed("\(shape) is no tensor's shape")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, product <= elements else {
        throw unsupported("a tensor of shape \(shape) has more than the \(elements) elements that one can have here")
      }
      count = product
    }
    guard shape.count <= rank else {
      throw unsupported("a tensor of shape \(shape) has more than \(rank) axes")
    }
    return shape
  }

  /// NumPy's broadcasting, of tensors that may have no elements.
  static func fitting(_ a: [Int], _ b: [Int]) throws(SimilarityError) -> [Int] {
    let rank = max(a.count, b.count)
    let left = [Int](repeating: 1, count: rank - a.count) + a
    let right = [Int](repeating: 1, count: rank - b.count) + b
    var shape: [Int] = []
    for (x, y) in zip(left, right) {
      guard x == y || x == 1 || y == 1 else { throw malformed("shapes \(a) and \(b) do not fit each other") }
      shape.append(x == 1 ? y : x)
    }
    return shape
  }

  /// NumPy's broadcasting, to a shape that a tensor can have.
  static func broadcast(_ a: [Int], _ b: [Int]) throws(SimilarityError) -> [Int] { try check(fitting(a, b)) }
}
