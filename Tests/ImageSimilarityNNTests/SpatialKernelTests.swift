import CSimilarityKernels
import Testing

/// Every level's variant of every operation against plain Swift, on awkward shapes. Inputs end where their memory
/// ends, and results are compared together with everything around them.
@Suite struct SpatialKernelTests {
  /// The levels that this machine can run, of those that there are.
  static let levels = supportedLevels

  /// Kernel and stride.
  static let windows = [(1, 1), (3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (2, 2), (3, 3), (7, 2)]

  /// Heights and widths: all sizes of tiles, and rows that they do not divide.
  static let sizes = [(1, 1), (2, 3), (4, 5), (3, 7), (5, 9), (2, 14), (3, 29)]

  /// Channels, and those that a wider tensor has besides.
  static let channels = [
    (1, 0), (3, 2), (5, 3), (15, 0), (16, 0), (17, 7), (24, 8), (32, 0), (33, 0), (64, 0), (70, 3),
  ]

  @Test(arguments: levels, windows) func depthwise(_ level: Int32, _ window: (Int, Int)) throws {
    try depthwise(Float.self, level, kernel: window.0, stride: window.1)
    try depthwise(UInt16.self, level, kernel: window.0, stride: window.1)
    try depthwise(UInt8.self, level, kernel: window.0, stride: window.1)
  }

  private func depthwise<E: SpatialElement>(_: E.Type, _ level: Int32, kernel: Int, stride: Int) throws {
    let kernels = try kernels(level)
    for (index, (height, width)) in Self.sizes.enumerated() {
      for (channels, spare) in Self.channels {
        // All paddings from none to one less than the kernel, and as much as the size needs.
        let (top, left) = (index % kernel, (index + 1) % kernel)
        let bottom = max((index + 2) % kernel, kernel - height - top)
        let right = max(index / 2 % kernel, kernel - width - left)
        let input = Tensor<E>(height, width, channels, spare: spare, border: (top, left, bottom, right))
        input.setAll { y, x, c in E.zeroPoint }
        input.setPixels { y, x, c in E.number(y * 31 + x * 7 + c * 5) }
        let weights = (0..<kernel * kernel * channels).map(E.weight)
        let packed = E.pack(weights, kernel: kernel, channels: channels)
        let bias = GuardedArray((0..<channels).map { Float($0 % 13 - 6) })
        let scale = GuardedArray((0..<channels).map { 0.002 + Float($0 % 7) / 512 })
        let outHeight = (height + top + bottom - kernel) / stride + 1
        let outWidth = (width + left + right - kernel) / stride + 1
        // The second range leaves out rows at both ends where there are enough.
        for (rows, clamp) in [(0..<outHeight, E.widestClamp), (outHeight / 3..<(outHeight + 1) / 2, E.narrowClamp)] {
          let output = Tensor<E>(outHeight, outWidth, channels, spare: spare + 1, border: (1, 1, 1, 1))
          var layer = unsafe imsim_spatial_depthwise(
            window: spatialWindow(
              input, output, kernel: kernel, stride: stride, padTop: top, padLeft: left), weights: packed.rawPointer,
            bias: UnsafePointer(bias.pointer), scale: UnsafePointer(scale.pointer), low: clamp.lowerBound,
            high: clamp.upperBound)
          unsafe E.depthwise(kernels, &layer, input.origin, output.origin, rows)

          let expected = Tensor<E>(outHeight, outWidth, channels, spare: spare + 1, border: (1, 1, 1, 1))
          expected.setPixels(rows: rows) { y, x, c in
            var sum = 0
            for ky in 0..<kernel {
              for kx in 0..<kernel {
                let element = input[y * stride - top + ky, x * stride - left + kx, c]
                sum += Int(element.value) * weights[(ky * kernel + kx) * channels + c]
              }
            }
            return E.result(sum, bias[c], scale[c], clamp)
          }
          #expect(
            output.difference(from: expected) == nil,
            "\(E.self) \(height)x\(width)x\(channels)+\(spare) kernel \(kernel) stride \(stride) rows \(rows)")
        }
      }
    }
  }

  /// Sums that are not exact depend on their order, which must be the same for every tile and every split of the rows.
  @Test(arguments: levels, windows) func depthwiseOfPartsIsTheWholes(_ level: Int32, _ window: (Int, Int)) throws {
    let kernels = try kernels(level)
    let (kernel, stride) = window
    let (size, channels) = (23, 40)
    let outSize = (size - kernel) / stride + 1
    let input = Tensor<Float>(size, size, channels, spare: 0, border: (0, 0, 0, 0))
    input.setPixels { y, x, c in 1 / Float(1 + (y * 37 + x * 101 + c * 13) % 97) }
    let weights = (0..<kernel * kernel * channels).map { 1 / Float($0 % 89 + 1) - 0.1 }
    let packed = GuardedArray(
      repeating: Float.nan, count: imsim_spatial_depthwise_size_f32(Int32(kernel), Int32(channels)))
    unsafe imsim_spatial_pack_depthwise_f32(weights, Int32(kernel), Int32(channels), packed.pointer)
    let bias = GuardedArray((0..<channels).map { 1 / Float($0 + 3) })
    func result(columns: Range<Int>, rowsAtOnce: Int) -> [UInt32] {
      let output = Tensor<Float>(outSize, columns.count, channels, spare: 0, border: (0, 0, 0, 0))
      var layer = unsafe imsim_spatial_depthwise(
        window: spatialWindow(input, output, kernel: kernel, stride: stride, padTop: 0, padLeft: 0),
        weights: packed.rawPointer, bias: UnsafePointer(bias.pointer), scale: nil, low: -.infinity, high: .infinity)
      let first = unsafe input.origin + columns.lowerBound * stride * channels
      for row in Swift.stride(from: 0, to: outSize, by: rowsAtOnce) {
        unsafe Float.depthwise(kernels, &layer, first, output.origin, row..<min(row + rowsAtOnce, outSize))
      }
      return output.elements
    }
    let whole = result(columns: 0..<outSize, rowsAtOnce: outSize)
    #expect(result(columns: 0..<outSize, rowsAtOnce: 1) == whole)
    #expect(result(columns: 0..<outSize, rowsAtOnce: 4) == whole)
    for columns in [0..<1, 2..<4, 0..<outSize - 1, 1..<min(9, outSize)] {
      let part = (0..<outSize).flatMap { y in
        whole[(y * outSize + columns.lowerBound) * channels..<(y * outSize + columns.upperBound) * channels]
      }
      #expect(result(columns: columns, rowsAtOnce: 2) == part)
    }
  }

  @Test(arguments: levels, windows) func maxPool(_ level: Int32, _ window: (Int, Int)) throws {
    try maxPool(Float.self, level, kernel: window.0, stride: window.1)
    try maxPool(UInt16.self, level, kernel: window.0, stride: window.1)
    try maxPool(UInt8.self, level, kernel: window.0, stride: window.1)
  }

  private func maxPool<E: SpatialElement>(_: E.Type, _ level: Int32, kernel: Int, stride: Int) throws {
    let kernels = try kernels(level)
    for (index, (height, width)) in Self.sizes.enumerated() {
      for (channels, spare) in Self.channels {
        let (top, left) = (index % kernel, (index + 1) % kernel)
        let input = Tensor<E>(height, width, channels, spare: spare, border: (0, 0, 0, 0))
        input.setPixels { y, x, c in E.number(y * 31 + x * 7 + c * 5) }
        // The last window begins at the last pixel that a stride meets, so it may reach over the edges.
        let outHeight = (height - 1 + top) / stride + 1
        let outWidth = (width - 1 + left) / stride + 1
        for rows in [0..<outHeight, outHeight / 3..<(outHeight + 1) / 2] {
          let output = Tensor<E>(outHeight, outWidth, channels, spare: spare + 1, border: (1, 1, 1, 1))
          var window = spatialWindow(
            input, output, kernel: kernel, stride: stride, padTop: top, padLeft: left)
          unsafe E.maxPool(kernels, &window, input.origin, output.origin, rows)

          let expected = Tensor<E>(outHeight, outWidth, channels, spare: spare + 1, border: (1, 1, 1, 1))
          expected.setPixels(rows: rows) { y, x, c in
            var largest: E?
            for iy in max(0, y * stride - top)..<min(height, y * stride - top + kernel) {
              for ix in max(0, x * stride - left)..<min(width, x * stride - left + kernel) {
                let element = input[iy, ix, c]
                if largest.map({ $0.value < element.value }) ?? true { largest = element }
              }
            }
            return largest!
          }
          #expect(
            output.difference(from: expected) == nil,
            "\(E.self) \(height)x\(width)x\(channels)+\(spare) kernel \(kernel) stride \(stride) rows \(rows)")
        }
      }
    }
  }

  @Test(arguments: levels) func globalAverage(_ level: Int32) throws {
    let kernels = try kernels(level)
    for (height, width) in [(1, 1), (2, 4), (4, 8)] {
      let count = Float(height * width)
      for (channels, spare) in Self.channels {
        let (h, w, c) = (Int32(height), Int32(width), Int32(channels))
        let out = GuardedArray(repeating: Float.nan, count: channels)
        func sums<E: SpatialElement>(_ input: Tensor<E>) -> [Float] {
          (0..<channels).map { c in
            (0..<height * width).reduce(0) { $0 + input[$1 / width, $1 % width, c].value }
          }
        }
        func tensor<E: SpatialElement>() -> Tensor<E> {
          let tensor = Tensor<E>(height, width, channels, spare: spare, border: (0, 0, 0, 1))
          tensor.setPixels { y, x, c in E.number(y * 31 + x * 7 + c * 5) }
          return tensor
        }
        let single: Tensor<Float> = tensor()
        unsafe kernels.global_average_f32(single.origin, single.pixel, single.row, h, w, c, out.pointer)
        #expect(out.elements == sums(single).map { $0 / count })
        let half: Tensor<UInt16> = tensor()
        unsafe kernels.global_average_bf16(half.origin, half.pixel, half.row, h, w, c, out.pointer)
        #expect(out.elements == sums(half).map { $0 / count })
        let bytes: Tensor<UInt8> = tensor()
        unsafe kernels.global_average_u8(bytes.origin, bytes.pixel, bytes.row, h, w, c, 9, 0.3, out.pointer)
        #expect(out.elements == sums(bytes).map { ($0 / count - 9) * 0.3 })
      }
    }
  }

  @Test(arguments: levels, [false, true]) func input(_ level: Int32, _ swap: Bool) throws {
    let kernels = try kernels(level)
    let (scale, shift): ([Float], [Float]) = ([0.5, 2, 4], [-1, 3, 0.25])
    let height = 3
    for width in [1, 2, 5, 15, 16, 17, 31, 37, 64, 100] {
      let rgb = GuardedArray((0..<height * width * 3).map { UInt8(truncatingIfNeeded: $0 * 31 + 7) })
      func value(_ y: Int, _ x: Int, _ c: Int) -> Float {
        Float(rgb[(y * width + x) * 3 + (swap ? 2 - c : c)]) * scale[c] + shift[c]
      }
      for rows in [0..<height, 1..<2] {
        let (begin, end) = (Int32(rows.lowerBound), Int32(rows.upperBound))
        let single = Tensor<Float>(height, width, 3, spare: 0, border: (1, 1, 1, 1))
        let wantedSingle = single.blank
        unsafe kernels.input_f32(
          rgb.pointer, Int32(width), single.origin, single.row, scale, shift, swap ? 1 : 0, begin, end)
        wantedSingle.setPixels(rows: rows, value)
        #expect(single.difference(from: wantedSingle) == nil)

        let half = Tensor<UInt16>(height, width, 4, spare: 0, border: (1, 1, 1, 1))
        let wantedHalf = half.blank
        unsafe kernels.input_bf16(
          rgb.pointer, Int32(width), half.origin, half.row, scale, shift, swap ? 1 : 0, begin, end)
        wantedHalf.setPixels(rows: rows) { y, x, c in c == 3 ? 0 : UInt16.rounding(value(y, x, c)) }
        #expect(half.difference(from: wantedHalf) == nil)

        let bytes = Tensor<UInt8>(height, width, 4, spare: 0, border: (1, 1, 1, 1))
        let wantedBytes = bytes.blank
        unsafe kernels.input_u8(rgb.pointer, Int32(width), bytes.origin, bytes.row, swap ? 1 : 0, begin, end)
        wantedBytes.setPixels(rows: rows) { y, x, c in c == 3 ? 0 : rgb[(y * width + x) * 3 + (swap ? 2 - c : c)] }
        #expect(bytes.difference(from: wantedBytes) == nil)
      }
    }
  }

  @Test(arguments: levels) func range(_ level: Int32) throws {
    let kernels = try kernels(level)
    let (height, width) = (3, 4)
    for (channels, spare) in Self.channels {
      let input = Tensor<Float>(height, width, channels, spare: spare, border: (1, 1, 1, 1))
      for position in Swift.stride(from: 0, to: height * width * channels, by: 5) {
        // The extremes go through all places; what surrounds the tensor is NaN.
        input.setPixels { y, x, c in
          switch (y * width + x) * channels + c {
          case position: -7.5
          case (position + 11) % (height * width * channels): 9.25
          default: Float((y + x + c) % 5)
          }
        }
        var (minimum, maximum): (Float, Float) = (.nan, .nan)
        unsafe kernels.range_f32(
          input.origin, input.pixel, input.row, Int32(height), Int32(width), Int32(channels), &minimum, &maximum)
        #expect(minimum == -7.5 && maximum == 9.25)
      }
    }
  }

  @Test func fillBorder() {
    func check<E: SpatialElement>(_ fill: E, _ value: UInt32) {
      for (channels, spare) in [(1, 0), (3, 2), (16, 0)] {
        let border = (top: 1, left: 2, bottom: 3, right: 1)
        let tensor = Tensor<E>(2, 3, channels, spare: spare, border: border)
        let expected = tensor.blank
        unsafe imsim_spatial_fill_border(
          tensor.origin, MemoryLayout<E>.size, value, tensor.pixel, tensor.row, 2, 3, Int32(channels),
          Int32(border.top), Int32(border.left), Int32(border.bottom), Int32(border.right))
        expected.setAll { y, x, c in (0..<2).contains(y) && (0..<3).contains(x) ? E.guardElement : fill }
        #expect(tensor.difference(from: expected) == nil, "\(E.self) \(channels)+\(spare)")
      }
    }
    check(Float(0), 0)
    check(Float(bitPattern: 0x0403_0201), 0x0403_0201)
    check(UInt16(0), 0)
    check(UInt16(0x0201), 0x0201)
    check(UInt8(0), 0)
    check(UInt8(131), 131)
  }

  private func kernels(_ level: Int32) throws -> imsim_spatial_kernels {
    unsafe try #require(imsim_spatial_kernels_for(level)?.pointee)
  }
}

private func spatialWindow<E>(
  _ input: Tensor<E>, _ output: Tensor<E>, kernel: Int, stride: Int, padTop: Int, padLeft: Int
) -> imsim_spatial_window {
  imsim_spatial_window(
    channels: Int32(input.channels), in_pixel: input.pixel, in_row: input.row, out_pixel: output.pixel,
    out_row: output.row, in_height: Int32(input.height), in_width: Int32(input.width),
    out_height: Int32(output.height), out_width: Int32(output.width), kernel: Int32(kernel), stride: Int32(stride),
    pad_top: Int32(padTop), pad_left: Int32(padLeft))
}

/// What the kernels need to know of an element type.
private protocol SpatialElement: TensorElement {
  static var zeroPoint: Self { get }
  static func weight(_ seed: Int) -> Int

  associatedtype Packed: BitwiseCopyable
  static func pack(_ weights: [Int], kernel: Int, channels: Int) -> GuardedArray<Packed>
  static func result(_ sum: Int, _ bias: Float, _ scale: Float, _ clamp: ClosedRange<Float>) -> Self

  static func depthwise(
    _ kernels: imsim_spatial_kernels, _ layer: UnsafePointer<imsim_spatial_depthwise>,
    _ input: UnsafePointer<Self>, _ output: UnsafeMutablePointer<Self>, _ rows: Range<Int>)
  static func maxPool(
    _ kernels: imsim_spatial_kernels, _ window: UnsafePointer<imsim_spatial_window>,
    _ input: UnsafePointer<Self>, _ output: UnsafeMutablePointer<Self>, _ rows: Range<Int>)
}

extension Float: SpatialElement {
  fileprivate static var zeroPoint: Float { 0 }
  fileprivate static func weight(_ seed: Int) -> Int { seed * 11 % 17 - 8 }

  fileprivate static func pack(_ weights: [Int], kernel: Int, channels: Int) -> GuardedArray<Float> {
    let size = imsim_spatial_depthwise_size_f32(Int32(kernel), Int32(channels))
    let packed = GuardedArray(repeating: Float.nan, count: size)
    unsafe imsim_spatial_pack_depthwise_f32(
      weights.map(Float.init), Int32(kernel), Int32(channels), packed.pointer)
    return packed
  }

  fileprivate static func result(_ sum: Int, _ bias: Float, _: Float, _ clamp: ClosedRange<Float>) -> Float {
    clamp.clamp(Float(sum) + bias)
  }

  fileprivate static func depthwise(
    _ kernels: imsim_spatial_kernels, _ layer: UnsafePointer<imsim_spatial_depthwise>,
    _ input: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ rows: Range<Int>
  ) {
    unsafe kernels.depthwise_f32(layer, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }

  fileprivate static func maxPool(
    _ kernels: imsim_spatial_kernels, _ window: UnsafePointer<imsim_spatial_window>,
    _ input: UnsafePointer<Float>, _ output: UnsafeMutablePointer<Float>, _ rows: Range<Int>
  ) {
    unsafe kernels.max_pool_f32(window, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }
}

extension UInt16: SpatialElement {
  fileprivate static var zeroPoint: UInt16 { 0 }
  fileprivate static func weight(_ seed: Int) -> Int { Float.weight(seed) }

  fileprivate static func pack(_ weights: [Int], kernel: Int, channels: Int) -> GuardedArray<Float> {
    let size = imsim_spatial_depthwise_size_bf16(Int32(kernel), Int32(channels))
    let packed = GuardedArray(repeating: Float.nan, count: size)
    unsafe imsim_spatial_pack_depthwise_bf16(
      weights.map(Float.init), Int32(kernel), Int32(channels), packed.pointer)
    return packed
  }

  fileprivate static func result(_ sum: Int, _ bias: Float, _ scale: Float, _ clamp: ClosedRange<Float>) -> UInt16 {
    rounding(Float.result(sum, bias, scale, clamp))
  }

  fileprivate static func depthwise(
    _ kernels: imsim_spatial_kernels, _ layer: UnsafePointer<imsim_spatial_depthwise>,
    _ input: UnsafePointer<UInt16>, _ output: UnsafeMutablePointer<UInt16>, _ rows: Range<Int>
  ) {
    unsafe kernels.depthwise_bf16(layer, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }

  fileprivate static func maxPool(
    _ kernels: imsim_spatial_kernels, _ window: UnsafePointer<imsim_spatial_window>,
    _ input: UnsafePointer<UInt16>, _ output: UnsafeMutablePointer<UInt16>, _ rows: Range<Int>
  ) {
    unsafe kernels.max_pool_bf16(window, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }
}

extension UInt8: SpatialElement {
  fileprivate static var zeroPoint: UInt8 { 119 }
  fileprivate static func weight(_ seed: Int) -> Int { seed * 101 % 256 - 128 }

  fileprivate static func pack(_ weights: [Int], kernel: Int, channels: Int) -> GuardedArray<Int8> {
    let size = imsim_spatial_depthwise_size_u8(Int32(kernel), Int32(channels))
    let packed = GuardedArray(repeating: Int8(-1), count: size)
    unsafe imsim_spatial_pack_depthwise_u8(
      weights.map { Int8($0) }, Int32(kernel), Int32(channels), packed.pointer)
    return packed
  }

  /// All levels round once, after a fused multiply-add, so they agree exactly.
  fileprivate static func result(_ sum: Int, _ bias: Float, _ scale: Float, _ clamp: ClosedRange<Float>) -> UInt8 {
    UInt8(clamp.clamp(bias.addingProduct(Float(sum), scale).rounded(.toNearestOrEven)))
  }

  fileprivate static func depthwise(
    _ kernels: imsim_spatial_kernels, _ layer: UnsafePointer<imsim_spatial_depthwise>,
    _ input: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<UInt8>, _ rows: Range<Int>
  ) {
    unsafe kernels.depthwise_u8(layer, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }

  fileprivate static func maxPool(
    _ kernels: imsim_spatial_kernels, _ window: UnsafePointer<imsim_spatial_window>,
    _ input: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<UInt8>, _ rows: Range<Int>
  ) {
    unsafe kernels.max_pool_u8(window, input, output, Int32(rows.lowerBound), Int32(rows.upperBound))
  }
}
