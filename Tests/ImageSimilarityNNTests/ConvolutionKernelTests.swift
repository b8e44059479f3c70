import CSimilarityKernels
import Testing

/// Dense convolutions of every level and element type against plain Swift, on awkward shapes. What the kernels read ends
/// where its memory ends, and results are compared together with everything around them.
@Suite struct ConvolutionKernelTests {
  /// One convolution without padding: the windows lie inside the input.
  struct Shape: CustomStringConvertible {
    var channels = 16
    var filters = 16
    var columns = 7
    var kernel = 1
    var stride = 1
    /// Whether a kernel row is one run, or every tap one of its own, with other elements between the pixels.
    var isDense = true
    var rows = 3
    var images = 2

    var inputRows: Int { (rows - 1) * stride + kernel }
    var inputColumns: Int { (columns - 1) * stride + kernel }
    var weightCount: Int { kernel * kernel * channels * filters }
    var description: String {
      "\(columns)x\(rows)x\(images) \(channels) -> \(filters), kernel \(kernel), stride \(stride), dense \(isDense)"
    }
  }

  /// All widths of tiles, and all ways in which filters fill vectors.
  @Test(arguments: Array(1...15) + [29]) func columnsAndFilters(_ columns: Int) throws {
    for (index, filters) in [1, 3, 8, 15, 16, 17, 24, 33, 40, 64, 70].enumerated() {
      let shape = Shape(
        channels: [5, 16, 3][(index + columns) % 3], filters: filters, columns: columns,
        kernel: [1, 3][(index + columns) % 2], isDense: (index + columns / 2) % 2 == 0)
      try check(shape)
    }
  }

  @Test(arguments: [1, 3, 5, 16, 17, 24, 33], [1, 3, 5]) func channelsAndWindows(
    _ channels: Int, _ kernel: Int
  ) throws {
    for (index, (stride, isDense)) in [(1, true), (1, false), (2, true), (2, false)].enumerated() {
      let shape = Shape(
        channels: channels, filters: [17, 40, 3, 33][index], columns: [4, 15, 1, 9][(index + channels) % 4],
        kernel: kernel, stride: stride, isDense: isDense)
      try check(shape)
    }
  }

  private func check(_ shape: Shape) throws {
    try check(Float.self, shape)
    try check(UInt16.self, shape)
    try check(UInt8.self, shape)
  }

  private func check<E: ConvolutionElement>(_: E.Type, _ s: Shape) throws {
    let input = Self.input(E.self, s)
    input.setPixels { y, x, c in E.number(y * 31 + x * 7 + c * 5) }
    let weights = (0..<s.weightCount).map(E.weight)
    let sums = Self.sums(s, input, weights)
    let deviation = Float(s.kernel * s.kernel * s.channels).squareRoot()

    let residual = Tensor<E>(s.images * s.rows, s.columns, s.filters, spare: 2, border: (0, 0, 0, 0))
    residual.setPixels { y, x, c in E.number(y * 13 + x * 3 + c * 11) }
    for level in supportedLevels {
      let layer = try Layer(
        E.self, s, level: level, weights: weights.map(Float.init), quantum: 1,
        bias: (0..<s.filters).map { E.middle + Float($0 % 13 - 6) },
        scale: (0..<s.filters).map { (0.004 + Float($0 % 7) / 1024) / deviation })
      // The second time with a residual, another clamp, and only a part of the rows.
      for (added, clamp, rows) in [(nil, E.widestClamp, 0..<s.rows), (residual, E.narrowClamp, 1..<s.rows - 1)] {
        let output = Self.output(E.self, s)
        layer.run(
          input, residual: added, output, clamp: clamp, rows: rows, images: 0..<s.images,
          columns: 0..<s.columns)
        let expected = output.blank
        for image in 0..<s.images {
          expected.setPixels(rows: image * (s.rows + 1) + rows.lowerBound..<image * (s.rows + 1) + rows.upperBound) {
            y, x, f in
            let pixel = (y - image) * s.columns + x
            return E.result(
              sums[pixel * s.filters + f], bias: layer.bias[f], scale: layer.scale[f],
              residual: added.map { $0[y - image, x, f].value }, clamp: clamp)
          }
        }
        #expect(
          output.difference(from: expected) == nil, "\(E.self) level \(level): \(s), residual \(added != nil)")
      }
    }
  }

  /// Sums that are not exact depend on their order, which must be the same for every tile, and every split of rows and
  /// images. The input is more than what a block of lines may read.
  @Test func partsAreTheWholes() throws {
    let shape = Shape(channels: 256, filters: 40, columns: 29, kernel: 3, rows: 9)
    try partsAreTheWholes(Float.self, shape) { 1 / Float(1 + $0 % 97) }
    try partsAreTheWholes(UInt16.self, shape) { UInt16.rounding(1 / Float(1 + $0 % 97)) }
    try partsAreTheWholes(UInt8.self, shape) { UInt8(truncatingIfNeeded: $0) }
  }

  private func partsAreTheWholes<E: ConvolutionElement>(_: E.Type, _ s: Shape, _ element: (Int) -> E) throws {
    let input = Self.input(E.self, s)
    input.setPixels { y, x, c in element(y * 37 + x * 101 + c * 13) }
    let weights = (0..<s.weightCount).map { Float($0 % 89 + 1) / 100 - 0.4 }
    for level in supportedLevels {
      let layer = try Layer(
        E.self, s, level: level, weights: weights, quantum: 0.01, bias: (0..<s.filters).map { 50 + 1 / Float($0 + 3) },
        scale: (0..<s.filters).map { 1 / Float(20_000 + $0) })
      func result(rowsAtOnce: Int, imagesAtOnce: Int, columnsAtOnce: Int) -> Tensor<E> {
        let output = Self.output(E.self, s)
        for image in stride(from: 0, to: s.images, by: imagesAtOnce) {
          for row in stride(from: 0, to: s.rows, by: rowsAtOnce) {
            for column in stride(from: 0, to: s.columns, by: columnsAtOnce) {
              layer.run(
                input, residual: nil, output, clamp: E.widestClamp, rows: row..<min(row + rowsAtOnce, s.rows),
                images: image..<min(image + imagesAtOnce, s.images),
                columns: column..<min(column + columnsAtOnce, s.columns))
            }
          }
        }
        return output
      }
      let whole = result(rowsAtOnce: s.rows, imagesAtOnce: 2, columnsAtOnce: s.columns)
      for (rows, images, columns) in [(1, 2, 29), (4, 1, 29), (9, 1, 29), (2, 2, 1), (9, 2, 5), (3, 1, 14)] {
        let parts = result(rowsAtOnce: rows, imagesAtOnce: images, columnsAtOnce: columns)
        #expect(
          parts.difference(from: whole) == nil,
          "\(E.self) level \(level): \(rows) rows, \(images) images, \(columns) columns")
      }
    }
  }

  /// The panels of weights, element by element, for vectors of four.
  @Test(arguments: [1, 4, 5, 8, 9, 12, 13, 24]) func panels(_ filters: Int) {
    let (taps, channels, lanes) = (3, 6, 4)
    let weights = (0..<taps * channels * filters).map { Float($0 % 125 - 62) }
    func check<E: ConvolutionElement>(_: E.Type, _ expected: (Float) -> E.Weight) {
      let stored = (channels + E.unit - 1) / E.unit * E.unit
      let size = imsim_convolution_packed_size(E.kind, Int32(lanes), taps, stored, filters)
      let vectors = (filters + lanes - 1) / lanes
      #expect(size == taps * stored * vectors * lanes * MemoryLayout<E.Weight>.stride)
      let packed = GuardedArray<E.Weight>(repeating: 1, count: size / MemoryLayout<E.Weight>.stride)
      unsafe imsim_convolution_pack(
        E.kind, Int32(lanes), weights, taps, channels, stored, filters, [Float](repeating: 0.5, count: filters),
        packed.pointer)

      var wanted = [E.Weight](repeating: 0, count: packed.count)
      for f in 0..<filters {
        let panel = f / (2 * lanes)
        let width = min(2 * lanes, (vectors - 2 * panel) * lanes)
        for t in 0..<taps {
          for c in 0..<channels {
            let unit = (t * stored + c) / E.unit * width + f % (2 * lanes)
            wanted[panel * 2 * lanes * taps * stored + unit * E.unit + c % E.unit] =
              expected(weights[(t * channels + c) * filters + f])
          }
        }
      }
      #expect(packed.elements == wanted, "\(E.self)")
    }
    check(Float.self) { $0 }
    check(UInt16.self) { UInt16.rounding($0) }
    check(UInt8.self) { Int8($0 * 2) }
  }

  @Test func packedWeightsAreRoundedToNearestEven() {
    let weights: [Float] = [1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1.02p-8, -1 - 0x1p-8]
    var halves = [UInt16](repeating: 1, count: 8)
    unsafe imsim_convolution_pack(IMSIM_ELEMENT_BF16, 4, weights, 1, 1, 2, 4, nil, &halves)
    #expect(halves == [0x3f80, 0, 0x3f82, 0, 0x3f81, 0, 0xbf80, 0])

    let steps: [Float] = [0.5, 1.5, -127, 126.6]
    let quanta: [Float] = [0.25, 1, 4, 0.125]
    var bytes = [Int8](repeating: 1, count: 16)
    unsafe imsim_convolution_pack(
      IMSIM_ELEMENT_U8, 4, zip(steps, quanta).map(*), 1, 1, 4, 4, quanta, &bytes)
    #expect(bytes == [0, 0, 0, 0, 2, 0, 0, 0, -127, 0, 0, 0, 127, 0, 0, 0])
  }

  // MARK: Reference

  private static func input<E: ConvolutionElement>(_: E.Type, _ s: Shape) -> Tensor<E> {
    let stored = (s.channels + E.unit - 1) / E.unit * E.unit
    return Tensor(
      s.images * s.inputRows, s.inputColumns, stored, spare: s.isDense ? 0 : 3, border: (0, 0, 0, 0))
  }

  /// A row that nobody may write lies between the images.
  private static func output<E: ConvolutionElement>(_: E.Type, _ s: Shape) -> Tensor<E> {
    Tensor(s.images * (s.rows + 1) - 1, s.columns, s.filters, spare: 1, border: (1, 1, 1, 1))
  }

  /// Of all images, [row, column, filter].
  private static func sums<E: ConvolutionElement>(_ s: Shape, _ input: Tensor<E>, _ weights: [Int]) -> [Int] {
    var elements: [Int] = []
    for y in 0..<input.height {
      for x in 0..<input.width { for c in 0..<s.channels { elements.append(Int(input[y, x, c].value)) } }
    }
    var sums = [Int](repeating: 0, count: s.images * s.rows * s.columns * s.filters)
    for row in 0..<s.images * s.rows {
      let top = row / s.rows * s.inputRows + row % s.rows * s.stride
      for column in 0..<s.columns {
        let first = (row * s.columns + column) * s.filters
        for tap in 0..<s.kernel * s.kernel {
          let (y, x) = (top + tap / s.kernel, column * s.stride + tap % s.kernel)
          for c in 0..<s.channels {
            let element = elements[(y * s.inputColumns + x) * s.channels + c]
            let weight = (tap * s.channels + c) * s.filters
            for f in 0..<s.filters { sums[first + f] += element * weights[weight + f] }
          }
        }
      }
    }
    return sums
  }

  /// A layer in the layout of one level, and the level's kernels.
  private struct Layer<E: ConvolutionElement> {
    let shape: Shape
    let kernels: imsim_convolution_kernels
    let weights: GuardedArray<UInt8>
    let bias: GuardedArray<Float>
    let scale: GuardedArray<Float>

    init(
      _: E.Type, _ s: Shape, level: Int32, weights: [Float], quantum: Float, bias: [Float], scale: [Float]
    ) throws {
      shape = s
      kernels = unsafe try #require(imsim_convolution_kernels_for(level)?.pointee)
      let lanes = kernels.lanes
      let taps = s.kernel * s.kernel
      let stored = (s.channels + E.unit - 1) / E.unit * E.unit
      self.weights = GuardedArray(
        repeating: 0xff, count: imsim_convolution_packed_size(E.kind, lanes, taps, stored, s.filters))
      unsafe imsim_convolution_pack(
        E.kind, lanes, weights, taps, s.channels, stored, s.filters, [Float](repeating: quantum, count: s.filters),
        self.weights.pointer)
      let zeros = [Float](repeating: 0, count: (s.filters + Int(lanes) - 1) / Int(lanes) * Int(lanes) - s.filters)
      self.bias = GuardedArray(bias + zeros)
      self.scale = GuardedArray(scale + zeros)
    }

    /// Computes a part of `output`.
    func run(
      _ input: Tensor<E>, residual: Tensor<E>?, _ output: Tensor<E>, clamp: ClosedRange<Float>, rows: Range<Int>,
      images: Range<Int>, columns: Range<Int>
    ) {
      let (kernel, run) = (shape.kernel, input.channels / E.unit)
      let taps = GuardedArray(
        shape.isDense
          ? (0..<kernel).map { $0 * input.row }
          : (0..<kernel * kernel).map { $0 / kernel * input.row + $0 % kernel * input.pixel })
      let residualRow = residual?.row ?? 0
      let residualPixel = residual?.pixel ?? 0
      var layer = unsafe imsim_convolution(
        columns: Int32(columns.count), filters: Int32(shape.filters), in_pixel: shape.stride * input.pixel,
        in_row: shape.stride * input.row, in_image: shape.inputRows * input.row, out_pixel: output.pixel,
        out_row: output.row, out_image: (shape.rows + 1) * output.row, residual_pixel: residualPixel,
        residual_row: residualRow, residual_image: shape.rows * residualRow, taps: UnsafePointer(taps.pointer),
        tap_count: Int32(taps.count), run: Int32(shape.isDense ? kernel * run : run), weights: weights.rawPointer,
        bias: UnsafePointer(bias.pointer), scale: UnsafePointer(scale.pointer), residual_scale: E.residualScale,
        low: clamp.lowerBound, high: clamp.upperBound)
      let x = images.lowerBound * shape.inputRows * input.row + columns.lowerBound * shape.stride * input.pixel
      let r = images.lowerBound * shape.rows * residualRow + columns.lowerBound * residualPixel
      let y = images.lowerBound * (shape.rows + 1) * output.row + columns.lowerBound * output.pixel
      unsafe E.kernel(kernels)(
        &layer, input.origin + x, residual.map { unsafe UnsafeRawPointer($0.origin + r) }, output.origin + y,
        Int32(rows.lowerBound), Int32(rows.upperBound), Int32(images.count))
    }
  }
}

/// What the kernels need to know of an element type.
private protocol ConvolutionElement: TensorElement {
  associatedtype Weight: Numeric & BitwiseCopyable
  /// Elements in 32 bits.
  static var unit: Int { get }
  static var kind: imsim_element { get }
  /// What brings most results into the elements' range.
  static var middle: Float { get }
  static var residualScale: Float { get }
  static func kernel(_ kernels: imsim_convolution_kernels) -> imsim_convolve
  static func weight(_ seed: Int) -> Int
  static func result(
    _ sum: Int, bias: Float, scale: Float, residual: Float?, clamp: ClosedRange<Float>
  ) -> Self
}

extension Float: ConvolutionElement {
  fileprivate typealias Weight = Float
  fileprivate static var unit: Int { 1 }
  fileprivate static var kind: imsim_element { IMSIM_ELEMENT_FP32 }
  fileprivate static var middle: Float { 0 }
  fileprivate static var residualScale: Float { .nan }
  fileprivate static func kernel(_ kernels: imsim_convolution_kernels) -> imsim_convolve {
    unsafe kernels.convolve.0
  }
  fileprivate static func weight(_ seed: Int) -> Int { seed * 11 % 17 - 8 }
  fileprivate static func result(
    _ sum: Int, bias: Float, scale: Float, residual: Float?, clamp: ClosedRange<Float>
  ) -> Float {
    clamp.clamp(Float(sum) + bias + (residual ?? 0))
  }
}

extension UInt16: ConvolutionElement {
  fileprivate typealias Weight = UInt16
  fileprivate static var unit: Int { 2 }
  fileprivate static var kind: imsim_element { IMSIM_ELEMENT_BF16 }
  fileprivate static var middle: Float { 0 }
  fileprivate static var residualScale: Float { .nan }
  fileprivate static func kernel(_ kernels: imsim_convolution_kernels) -> imsim_convolve {
    unsafe kernels.convolve.1
  }
  fileprivate static func weight(_ seed: Int) -> Int { Float.weight(seed) }
  fileprivate static func result(
    _ sum: Int, bias: Float, scale: Float, residual: Float?, clamp: ClosedRange<Float>
  ) -> UInt16 {
    rounding(Float.result(sum, bias: bias, scale: scale, residual: residual, clamp: clamp))
  }
}

extension UInt8: ConvolutionElement {
  fileprivate typealias Weight = Int8
  fileprivate static var unit: Int { 4 }
  fileprivate static var kind: imsim_element { IMSIM_ELEMENT_U8 }
  fileprivate static var middle: Float { 100 }
  fileprivate static var residualScale: Float { 0.37 }
  fileprivate static func kernel(_ kernels: imsim_convolution_kernels) -> imsim_convolve {
    unsafe kernels.convolve.2
  }
  fileprivate static func weight(_ seed: Int) -> Int { seed * 101 % 255 - 127 }
  /// No level fuses a product with a sum, so all round alike.
  fileprivate static func result(
    _ sum: Int, bias: Float, scale: Float, residual: Float?, clamp: ClosedRange<Float>
  ) -> UInt8 {
    var value = Float(sum) * scale + bias
    if let residual { value += residual * residualScale }
    return UInt8(clamp.clamp(value).rounded(.toNearestOrEven))
  }
}
