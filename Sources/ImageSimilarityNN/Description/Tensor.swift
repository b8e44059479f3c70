extension NetworkBuilder {
  /// A tensor of any shape: where its elements lie in a value, or in a constant.
  ///
  /// Shapes are those of the framework that a network comes from, with the axis of pictures as a leading 1.
  package struct Tensor: Sendable, Hashable {
    enum Source: Sendable, Hashable {
      case value(Value)
      /// A tensor of the weights, row-major.
      case constant(name: String, shape: [Int])
    }

    package let shape: [Int]
    let source: Source
    /// Of the element whose indices are all 0.
    let offset: Stride
    /// 0 for axes of one element.
    let strides: [Stride]

    init(shape: [Int], source: Source, offset: Stride = .zero, strides: [Stride]) {
      precondition(shape.count == strides.count && shape.allSatisfy { $0 > 0 }, "an axis has a size and a stride")
      self.shape = shape
      self.source = source
      self.offset = offset
      self.strides = zip(shape, strides).map { $0 == 1 ? .zero : $1 }
    }

    package var count: Int { shape.reduce(1, *) }

    var value: Value? {
      if case .value(let value) = source { value } else { nil }
    }
  }

  /// A distance in memory: so many rows, pixels and elements, whose sizes a plan decides.
  struct Stride: Sendable, Hashable {
    var row = 0
    var pixel = 0
    var element = 0

    static let zero = Stride()
    static let oneRow = Stride(row: 1)
    static let onePixel = Stride(pixel: 1)
    static let oneElement = Stride(element: 1)

    static func + (a: Stride, b: Stride) -> Stride {
      Stride(row: a.row + b.row, pixel: a.pixel + b.pixel, element: a.element + b.element)
    }

    static func * (a: Stride, factor: Int) -> Stride {
      Stride(row: a.row * factor, pixel: a.pixel * factor, element: a.element * factor)
    }

    /// In elements.
    func resolved(row rowSize: Int, pixel pixelSize: Int) -> Int { row * rowSize + pixel * pixelSize + element }

    /// In elements, where there are no gaps.
    func resolved(in value: Value) -> Int { resolved(row: value.width * value.channels, pixel: value.channels) }
  }
}

// MARK: - Layouts

extension NetworkBuilder.Tensor {
  typealias Stride = NetworkBuilder.Stride
  typealias Value = NetworkBuilder.Value

  /// The strides of a row-major tensor.
  static func rowMajor(_ shape: [Int]) -> [Stride] {
    var strides: [Stride] = []
    var step = 1
    for size in shape.reversed() {
      strides.append(Stride(element: step))
      step *= size
    }
    return strides.reversed()
  }

  /// A value as `[1, channels, height, width]`.
  init(channelsFirst value: Value) {
    self.init(
      shape: [1, value.channels, value.height, value.width], source: .value(value),
      strides: [.zero, .oneElement, .oneRow, .onePixel])
  }

  /// The value that is this tensor of shape `[1, channels, height, width]`, if there is one.
  var map: Value? {
    guard let value, shape == [1, value.channels, value.height, value.width],
      self == NetworkBuilder.Tensor(channelsFirst: value)
    else { return nil }
    return value
  }

  /// Whether every element of the value is one element of the tensor.
  var coversValue: Bool {
    guard let value else { return false }
    return count == value.height * value.width * value.channels && !isRepeating
  }

  /// Whether elements are seen more than once.
  var isRepeating: Bool { zip(shape, strides).contains { $0 > 1 && $1 == .zero } }

  /// The strides in elements, as if there were no gaps: their order is right in any case.
  var approximateStrides: [Int] {
    guard let value else { return strides.map(\.element) }
    return strides.map { $0.resolved(in: value) }
  }

  /// The tensor with all strides in elements, for a value without gaps.
  var inElements: NetworkBuilder.Tensor {
    guard let value else { return self }
    return NetworkBuilder.Tensor(
      shape: shape, source: source, offset: Stride(element: offset.resolved(in: value)),
      strides: strides.map { Stride(element: $0.resolved(in: value)) })
  }

  /// The same elements in another shape, in the same order; nil where no strides say that.
  func reshaped(to shape: [Int]) -> NetworkBuilder.Tensor? {
    // Axes whose elements follow each other are one; the new axes are parts of those.
    var runs: [(size: Int, stride: Stride)] = []
    for (size, stride) in zip(self.shape, strides) where size > 1 {
      if let last = runs.last, last.stride == stride * size {
        runs[runs.count - 1] = (last.size * size, stride)
      } else {
        runs.append((size, stride))
      }
    }
    var strides: [Stride] = []
    var run = runs.count - 1
    var step = 1
    for size in shape.reversed() {
      if size == 1 {
        strides.append(.zero)
        continue
      }
      if run >= 0, step == runs[run].size {
        run -= 1
        step = 1
      }
      guard run >= 0, runs[run].size % (step * size) == 0 else { return nil }
      strides.append(runs[run].stride * step)
      step *= size
    }
    return NetworkBuilder.Tensor(shape: shape, source: source, offset: offset, strides: strides.reversed())
  }

  /// Its pixels, where it is `[..., channels]` over all channels of all of a value's pixels: the strides of the axes before.
  var pixels: (value: Value, leading: [Stride])? {
    guard let value, offset == .zero, coversValue, shape.last == value.channels,
      strides.last == (value.channels == 1 ? .zero : .oneElement)
    else { return nil }
    var leading: [Stride] = []
    for stride in strides.dropLast() {
      guard stride.element % value.channels == 0 else { return nil }
      leading.append(Stride(row: stride.row, pixel: stride.pixel + stride.element / value.channels))
    }
    return (value, leading)
  }
}
