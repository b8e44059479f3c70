internal import ImageSimilarityCore
internal import ImageSimilarityFiles

/// A constant whose elements are at hand, row-major.
struct ConstantTensor {
  enum Elements {
    case floats([Float])
    case integers([Int64])
  }

  var shape: [Int]
  var type: ONNXElementType
  var elements: Elements

  init(_ tensor: ONNXTensor) throws(SimilarityError) {
    shape = try Self.check(tensor.shape)
    type = tensor.elementType
    elements = tensor.elementType.isInteger ? .integers(try tensor.integers()) : .floats(try tensor.floats())
  }

  init(shape: [Int], type: ONNXElementType, _ elements: Elements) {
    self.shape = shape
    self.type = type
    self.elements = elements
  }

  init(shape: [Int], _ integers: [Int64], type: ONNXElementType = .int64) {
    self.init(shape: shape, type: type, .integers(integers))
  }

  var tensor: ONNXTensor {
    switch elements {
    case .floats(let floats): ONNXTensor(shape: shape, floats: floats, elementType: type)
    case .integers(let integers): ONNXTensor(shape: shape, integers: integers, elementType: type)
    }
  }

  var count: Int {
    switch elements {
    case .floats(let floats): floats.count
    case .integers(let integers): integers.count
    }
  }

  /// The elements at `places`, in another shape.
  func taking(_ places: [Int], shape: [Int]) -> ConstantTensor {
    let taken: Elements =
      switch elements {
      case .floats(let floats): .floats(places.map { floats[$0] })
      case .integers(let integers): .integers(places.map { integers[$0] })
      }
    return ConstantTensor(shape: shape, type: type, taken)
  }

  func reshaped(to shape: [Int]) -> ConstantTensor {
    var copy = self
    copy.shape = shape
    return copy
  }

  /// Integers, as indices, sizes and axes are.
  func integers() throws(SimilarityError) -> [Int] {
    guard case .integers(let integers) = elements else {
      throw malformed("expected integers; found a tensor of type \(type) and shape \(shape)")
    }
    return integers.map(Int.init)
  }

  func floats() -> [Float] {
    switch elements {
    case .floats(let floats): floats
    case .integers(let integers): integers.map(Float.init)
    }
  }

  /// `shape`, if a constant can have it: it may have no elements, unlike what networks compute. Its other sizes are limited even
  /// then, so that products of any of them are numbers.
  static func check(_ shape: [Int]) throws(SimilarityError) -> [Int] {
    guard shape.allSatisfy({ $0 >= 0 }) else { throw malformed("\(shape) is no tensor's shape") }
    guard let count = elementCount(ofShape: shape.filter { $0 > 0 }), count <= TensorLimits.elements else {
      throw unsupported("a constant of shape \(shape) has more than \(TensorLimits.elements) elements")
    }
    return shape
  }

  /// The place of each element of a tensor of `shape`, row-major, whose strides are `strides`.
  static func places(_ shape: [Int], _ strides: [Int], from start: Int = 0) -> [Int] {
    guard !shape.contains(0) else { return [] }
    var places = [start]
    for (size, stride) in zip(shape, strides) {
      places = places.flatMap { place in (0..<size).map { place + $0 * stride } }
    }
    return places
  }

  static func rowMajor(_ shape: [Int]) -> [Int] {
    var strides: [Int] = []
    var step = 1
    for size in shape.reversed() {
      strides.append(step)
      step *= max(size, 1)
    }
    return strides.reversed()
  }

  /// Repeats axes of one element, as NumPy does.
  func broadcast(to shape: [Int]) -> ConstantTensor {
    guard shape != self.shape else { return self }
    let added = shape.count - self.shape.count
    let own = Self.rowMajor(self.shape)
    let strides = shape.indices.map { $0 < added || self.shape[$0 - added] == 1 ? 0 : own[$0 - added] }
    return taking(Self.places(shape, strides), shape: shape)
  }

  /// NumPy's broadcasting, to a shape that a constant can have.
  static func broadcast(_ a: [Int], _ b: [Int]) throws(SimilarityError) -> [Int] {
    try check(TensorLimits.fitting(a, b))
  }
}
