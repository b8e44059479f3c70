import CSimilarityKernels
import Testing

/// The transforms of Winograd convolution on every instruction set, on awkward shapes.
@Suite struct WinogradKernelTests {
  static let variants = supportedLevels

  /// `outputs` is the tile's size, `channels` and `filters` are the input's and the output's.
  struct Shape: Sendable, CustomTestStringConvertible {
    var (outputs, height, width, channels, filters): (Int, Int, Int, Int, Int)

    var positions: Int { (outputs + 2) * (outputs + 2) }
    var tiles: Int { ((height + outputs - 1) / outputs) * ((width + outputs - 1) / outputs) }
    var testDescription: String { "\(outputs)x\(outputs) tiles, \(height)x\(width), \(channels) -> \(filters)" }
  }

  static let shapes = [4, 2].flatMap { outputs in
    [
      (1, 1, 1, 1), (2, 3, 3, 16), (4, 4, 16, 33), (5, 9, 17, 3), (8, 12, 33, 17), (7, 7, 64, 40), (13, 6, 35, 64),
    ].map { Shape(outputs: outputs, height: $0, width: $1, channels: $2, filters: $3) }
  }

  /// An image in memory with a border of one pixel, spare channels, and NaN wherever nobody may look or write.
  struct Image: Equatable {
    let height, width, channels: Int
    let bf16: Bool
    var words: [UInt32]
    var halves: [UInt16]

    static let spareChannels = 3
    var pixel: Int { channels + Self.spareChannels }
    /// One pixel lies between the right border and the next row's left one, and one row above and below all.
    var row: Int { (width + 3) * pixel }
    var origin: Int { 2 * row + pixel }

    init(_ height: Int, _ width: Int, _ channels: Int, bf16: Bool) {
      (self.height, self.width, self.channels, self.bf16) = (height, width, channels, bf16)
      (words, halves) = ([], [])
      let count = (height + 4) * row
      if bf16 {
        halves = Array(repeating: 0x7fc1, count: count)
      } else {
        words = Array(repeating: 0x7fc0_0001, count: count)
      }
    }

    subscript(y: Int, x: Int, c: Int) -> Float {
      get {
        let i = origin + y * row + x * pixel + c
        return Float(bitPattern: bf16 ? UInt32(halves[i]) << 16 : words[i])
      }
      set {
        let i = origin + y * row + x * pixel + c
        if bf16 { halves[i] = WinogradKernelTests.bf16(newValue) } else { words[i] = newValue.bitPattern }
      }
    }

    /// Sets the image's elements, and its border to zero.
    mutating func fill(_ random: inout Random) {
      for y in -1...height {
        for x in -1...width {
          let inside = y >= 0 && y < height && x >= 0 && x < width
          for c in 0..<channels { self[y, x, c] = inside ? random.next() : 0 }
        }
      }
    }

    func layout(_ outputs: Int) -> imsim_winograd_image {
      imsim_winograd_image(
        outputs: Int32(outputs), height: Int32(height), width: Int32(width), channels: Int32(channels),
        bf16: bf16 ? 1 : 0, pixel: pixel, row: row)
    }

    /// Calls `body` with the address of pixel (0, 0).
    func withPixels<R>(_ body: (UnsafeRawPointer) -> R) -> R {
      if bf16 {
        unsafe halves.withUnsafeBytes { unsafe body($0.baseAddress! + 2 * origin) }
      } else {
        unsafe words.withUnsafeBytes { unsafe body($0.baseAddress! + 4 * origin) }
      }
    }

    mutating func withMutablePixels<R>(_ body: (UnsafeMutableRawPointer) -> R) -> R {
      let origin = origin
      return if bf16 {
        unsafe halves.withUnsafeMutableBytes { unsafe body($0.baseAddress! + 2 * origin) }
      } else {
        unsafe words.withUnsafeMutableBytes { unsafe body($0.baseAddress! + 4 * origin) }
      }
    }
  }

  /// Uniform in -1..<1.
  struct Random {
    var state: UInt64

    mutating func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) * 0x1p-23 - 1
    }

    mutating func values(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }
  }

  /// Rounded to nearest even.
  static func bf16(_ x: Float) -> UInt16 {
    if x.isNaN { return UInt16(x.bitPattern >> 16) | 0x40 }
    return UInt16((x.bitPattern + 0x7fff + (x.bitPattern >> 16 & 1)) >> 16)
  }

  private func kernels(_ variant: Int32) throws -> imsim_winograd_kernels {
    unsafe try #require(imsim_winograd_kernels_for(variant)?.pointee)
  }

  /// Transformed tiles: [positions, tiles, channels] with gaps of NaN.
  private struct Block {
    let tileStride, positionStride: Int
    var values: [Float]

    init(_ s: Shape, _ channels: Int) {
      tileStride = channels + 5
      positionStride = imsim_winograd_position_stride(s.tiles * tileStride)
      values = Array(repeating: .nan, count: s.positions * positionStride)
    }

    func index(_ position: Int, _ tile: Int, _ c: Int) -> Int { position * positionStride + tile * tileStride + c }
  }

  /// The input's transform in ranges of `step` tiles.
  private func input(_ variant: Int32, _ s: Shape, _ image: Image, step: Int) throws -> Block {
    let kernels = try kernels(variant)
    var block = Block(s, s.channels)
    var layout = image.layout(s.outputs)
    for begin in stride(from: 0, to: s.tiles, by: step) {
      unsafe block.values.withUnsafeMutableBufferPointer { values in
        unsafe image.withPixels { pixels in
          unsafe kernels.input(
            &layout, pixels, Int32(begin), Int32(min(begin + step, s.tiles)),
            values.baseAddress! + begin * block.tileStride, block.positionStride, block.tileStride)
        }
      }
    }
    return block
  }

  /// The output's transform in ranges of `step` tiles into `image`, which may be the residual itself.
  private func output(
    _ variant: Int32, _ s: Shape, _ products: Block, bias: [Float], residual: Image?, low: Float, high: Float,
    step: Int, inPlace: Bool = false, into image: inout Image
  ) throws {
    let kernels = try kernels(variant)
    var layout = image.layout(s.outputs)
    for begin in stride(from: 0, to: s.tiles, by: step) {
      unsafe products.values.withUnsafeBufferPointer { values in
        unsafe image.withMutablePixels { pixels in
          func run(_ added: UnsafeRawPointer?) {
            unsafe kernels.output(
              &layout, values.baseAddress! + begin * products.tileStride, products.positionStride,
              products.tileStride, Int32(begin), Int32(min(begin + step, s.tiles)), bias, added,
              residual?.pixel ?? 0, residual?.row ?? 0, low, high, pixels)
          }
          if inPlace {
            unsafe run(pixels)
          } else if let residual {
            unsafe residual.withPixels { unsafe run($0) }
          } else {
            run(nil)
          }
        }
      }
    }
  }

  private func weights(_ s: Shape, _ weights: [Float], _ factors: [Double]) -> [Float] {
    let panels = (s.filters + 31) / 32
    var packed = [Float](repeating: .nan, count: s.positions * panels * s.channels * 32)
    for panel in 0..<panels {
      unsafe packed.withUnsafeMutableBufferPointer {
        unsafe imsim_winograd_weights(
          Int32(s.outputs), weights, s.filters, s.channels, factors, panel * 32, 32,
          $0.baseAddress! + panel * s.channels * 32, panels * s.channels * 32)
      }
    }
    return packed
  }

  @Test func positionStridesAreOddMultiplesOf16() {
    for (floats, stride) in [(1, 16), (16, 16), (17, 48), (32, 48), (48, 48), (49, 80)] {
      #expect(imsim_winograd_position_stride(floats) == stride)
    }
  }

  /// Inputs below 1 grow to at most (1 + A) * (1 + B^2) = 5.5 in each direction, with at most four roundings on the way in each
  /// of the two variants.
  @Test(arguments: variants, shapes) func inputAgreesWithPortable(_ variant: Int32, _ s: Shape) throws {
    for bf16 in [false, true] {
      var random = Random(state: 1)
      var image = Image(s.height, s.width, s.channels, bf16: bf16)
      image.fill(&random)
      let expected = try input(0, s, image, step: s.tiles)
      let found = try input(variant, s, image, step: s.tiles)
      for i in expected.values.indices {
        if expected.values[i].isNaN {
          #expect(found.values[i].isNaN, "a neighbour was written")
        } else {
          #expect(abs(found.values[i] - expected.values[i]) <= 30 * 16 * 0x1p-24)
        }
      }
      let written = found.values.count { !$0.isNaN }
      #expect(written == s.positions * s.tiles * s.channels)
      for step in [1, 3] {
        let parts = try input(variant, s, image, step: step)
        #expect(parts.values.map(\.bitPattern) == found.values.map(\.bitPattern))
      }
    }
  }

  /// Products below 1 add up to at most 2 A^3 + 2 B^3 + 1 = 8.4 in each direction.
  @Test(arguments: variants, shapes) func outputAgreesWithPortable(_ variant: Int32, _ s: Shape) throws {
    for (bf16, hasResidual) in [(false, false), (false, true), (true, false), (true, true)] {
      var random = Random(state: 2)
      var products = Block(s, s.filters)
      for position in 0..<s.positions {
        for tile in 0..<s.tiles {
          for c in 0..<s.filters { products.values[products.index(position, tile, c)] = random.next() }
        }
      }
      let bias = random.values(s.filters)
      var residual: Image?
      if hasResidual {
        residual = Image(s.height, s.width, s.filters, bf16: bf16)
        residual?.fill(&random)
      }
      let empty = Image(s.height, s.width, s.filters, bf16: bf16)
      func run(_ variant: Int32, step: Int) throws -> Image {
        var image = empty
        try output(
          variant, s, products, bias: bias, residual: residual, low: -4, high: 5, step: step, into: &image)
        return image
      }
      let expected = try run(0, step: s.tiles)
      let found = try run(variant, step: s.tiles)
      var outside = found
      for y in 0..<s.height {
        for x in 0..<s.width {
          for c in 0..<s.filters {
            let (a, b) = (found[y, x, c], expected[y, x, c])
            #expect(a >= -4 && a <= 5)
            let step: Float = bf16 ? abs(b) * 0x1p-7 : 0
            #expect(abs(a - b) <= 70 * 20 * 0x1p-24 + step)
            outside[y, x, c] = empty[y, x, c]
          }
        }
      }
      #expect(outside == empty, "a neighbour was written")
      for step in [1, 3] { #expect(try run(variant, step: step) == found) }
      guard let residual else { continue }
      var image = residual
      try output(
        variant, s, products, bias: bias, residual: residual, low: -4, high: 5, step: 2, inPlace: true, into: &image)
      for y in 0..<s.height {
        for x in 0..<s.width {
          for c in 0..<s.filters { #expect(image[y, x, c] == found[y, x, c]) }
        }
      }
    }
  }

  /// The convolution of an image at a point, in double.
  private func direct(_ image: Image, _ weights: ArraySlice<Float>, _ factor: Double, _ y: Int, _ x: Int) -> Double {
    var sum = 0.0
    for c in 0..<image.channels {
      for ky in 0..<3 {
        for kx in 0..<3 {
          let weight = Double(weights[weights.startIndex + (c * 3 + ky) * 3 + kx])
          sum += Double(image[y + ky - 1, x + kx - 1, c]) * weight
        }
      }
    }
    return sum * factor
  }

  /// With inputs and weights below 1, what a channel adds grows to at most 24 in each direction between the transforms of
  /// F(4x4, 3x3), or 9 for F(2x2, 3x3). Every value is rounded fewer than 20 times, most by far less than half a unit, and
  /// the roundings of different channels are independent.
  @Test(arguments: variants, shapes) func convolution(_ variant: Int32, _ s: Shape) throws {
    for (bf16, hasResidual) in [(false, false), (false, true), (true, false), (true, true)] {
      var random = Random(state: 3)
      var image = Image(s.height, s.width, s.channels, bf16: bf16)
      image.fill(&random)
      let filters = random.values(s.filters * s.channels * 9)
      let factors = random.values(s.filters).map { Double($0) }
      let bias = random.values(s.filters)
      var residual: Image?
      if hasResidual {
        residual = Image(s.height, s.width, s.filters, bf16: bf16)
        residual?.fill(&random)
      }
      let low: Float = hasResidual ? 0 : -.infinity
      let high: Float = hasResidual ? 6 : .infinity

      let packed = weights(s, filters, factors)
      let transformed = try input(variant, s, image, step: s.tiles)
      var products = Block(s, s.filters)
      let panels = (s.filters + 31) / 32
      for position in 0..<s.positions {
        for tile in 0..<s.tiles {
          for f in 0..<s.filters {
            let panel = ((position * panels + f / 32) * s.channels) * 32 + f % 32
            var sum = 0.0
            for c in 0..<s.channels {
              sum += Double(transformed.values[transformed.index(position, tile, c)]) * Double(packed[panel + c * 32])
            }
            products.values[products.index(position, tile, f)] = Float(sum)
          }
        }
      }
      var found = Image(s.height, s.width, s.filters, bf16: bf16)
      try output(
        variant, s, products, bias: bias, residual: residual, low: low, high: high, step: s.tiles, into: &found)

      let growth = s.outputs == 4 ? 24.0 : 9.0
      let tolerance = growth * growth * Double(s.channels).squareRoot() * 0x1p-23
      for f in 0..<s.filters {
        let filter = filters[f * s.channels * 9..<(f + 1) * s.channels * 9]
        for y in 0..<s.height {
          for x in 0..<s.width {
            var expected = direct(image, filter, factors[f], y, x) + Double(bias[f])
            if let residual { expected += Double(residual[y, x, f]) }
            expected = min(max(expected, Double(low)), Double(high))
            let allowed = tolerance + (bf16 ? abs(expected) * 0x1p-8 : 0)
            #expect(abs(Double(found[y, x, f]) - expected) <= allowed)
          }
        }
      }
    }
  }

  @Test func missingFiltersAreZero() {
    let s = Shape(outputs: 4, height: 1, width: 1, channels: 2, filters: 33)
    let packed = weights(s, Array(repeating: 1, count: 33 * 2 * 9), Array(repeating: 1, count: 33))
    for position in 0..<s.positions {
      for c in 0..<2 {
        let second = ((position * 2 + 1) * 2 + c) * 32
        #expect(packed[second + 1..<second + 32].allSatisfy { $0 == 0 })
      }
    }
    // The kernels' first elements.
    #expect((0..<33).allSatisfy { packed[($0 / 32 * 2) * 32 + $0 % 32] == 1 })
  }

  /// Position 0 of a 2x2 tile goes to output (0, 0) alone.
  @Test(arguments: variants) func roundingAndNaN(_ variant: Int32) throws {
    let values: [Float] = [
      1, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 1 + 0x1.02p-8, -1 - 0x1p-8, 0x1.ffffp100, .infinity, -.infinity, .nan, -0.1, 1e-30,
      3.1415927, .greatestFiniteMagnitude, Float(bitPattern: 0x7fff_ffff), Float(bitPattern: 0xffff_ffff), 0, 7e20,
    ]
    let s = Shape(outputs: 2, height: 1, width: 1, channels: 1, filters: values.count)
    var products = Block(s, s.filters)
    for position in 0..<s.positions {
      for c in values.indices { products.values[products.index(position, 0, c)] = position == 0 ? values[c] : 0 }
    }
    let bias = [Float](repeating: 0, count: values.count)
    for bf16 in [false, true] {
      var image = Image(1, 1, values.count, bf16: bf16)
      try output(
        variant, s, products, bias: bias, residual: nil, low: -.infinity, high: .infinity, step: 1, into: &image)
      for c in values.indices {
        if values[c].isNaN {
          #expect(image[0, 0, c].isNaN)
        } else {
          #expect(image[0, 0, c] == (bf16 ? Float(bitPattern: UInt32(Self.bf16(values[c])) << 16) : values[c]))
        }
      }
    }
  }
}
