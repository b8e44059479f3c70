import CSimilarityKernels
import Testing

@Suite struct KernelTests {
  /// All 65,536 half-precision numbers: both variants to the bit, and against Swift's own conversion.
  @Test func halfPrecision() {
    let halves = (0...UInt16.max).map { $0 }
    var fast = [Float](repeating: 0, count: halves.count)
    var portable = fast
    unsafe sim_widen_f16(halves, &fast, halves.count)
    unsafe sim_widen_f16_portable(halves, &portable, halves.count)
    #expect(fast.map(\.bitPattern) == portable.map(\.bitPattern))
    let differing = zip(halves, portable).filter { half, float in
      let expected = Float(Float16(bitPattern: half))
      return expected.isNaN ? !float.isNaN : float.bitPattern != expected.bitPattern
    }
    #expect(differing.isEmpty)
  }

  /// All half-precision numbers, the points half-way between them, and their neighbours, against Swift's own conversion.
  @Test func narrowing() {
    let halves = (0...UInt16.max).map { Float(Float16(bitPattern: $0)) }.filter(\.isFinite)
    let sorted = halves.sorted()
    let between = zip(sorted, sorted.dropFirst()).map { ($0 + $1) / 2 }
    let edges: [Float] = [
      65519, 65520, 65521, 1e38, .infinity, -.infinity, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
    ]
    let floats = (halves + between + edges).flatMap { [$0.nextDown, $0, $0.nextUp] }
    var fast = [UInt16](repeating: 0, count: floats.count)
    var portable = fast
    unsafe sim_narrow_f16(floats, &fast, floats.count)
    unsafe sim_narrow_f16_portable(floats, &portable, floats.count)
    #expect(fast == portable)
    #expect(portable == floats.map { Float16($0).bitPattern })
    var nan: UInt16 = 0
    unsafe sim_narrow_f16([.nan], &nan, 1)
    #expect(Float16(bitPattern: nan).isNaN)
  }

  @Test func bfloat16() {
    let numbers: [UInt16] = [0x3f80, 0xc020, 0x0001, 0x7f80, 0x8000]
    var floats = [Float](repeating: 0, count: numbers.count)
    unsafe sim_widen_bf16(numbers, &floats, numbers.count)
    #expect(floats == [1, -2.5, Float(bitPattern: 0x10000), .infinity, -0.0])
  }

  /// Every permutation of a three-dimensional array, for all element sizes, against indexing.
  @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
  func gather(_ order: [Int]) {
    let shape = [2, 3, 4]
    let strides = [12, 4, 1]
    let permutedShape = order.map { shape[$0] }
    let permutedStrides = order.map { strides[$0] }
    var places: [Int] = []
    for i in 0..<permutedShape[0] {
      for j in 0..<permutedShape[1] {
        for k in 0..<permutedShape[2] {
          places.append(i * permutedStrides[0] + j * permutedStrides[1] + k * permutedStrides[2])
        }
      }
    }
    #expect(gathered([UInt16](0..<24), permutedShape, permutedStrides) == places.map { UInt16($0) })
    #expect(gathered([UInt32](0..<24), permutedShape, permutedStrides) == places.map { UInt32($0) })
    #expect(gathered([UInt64](0..<24), permutedShape, permutedStrides) == places.map { UInt64($0) })
  }

  @Test func gatherOfFewDimensions() {
    #expect(gathered([5, 6, 7] as [UInt32], [], []) == [5])
    #expect(gathered([5, 6, 7] as [UInt32], [2], [2]) == [5, 7])
    #expect(gathered([5, 6, 7] as [UInt32], [2, 0], [1, 1]) == [])
    #expect(gathered([5, 6, 7] as [UInt32], [2, 2], [0, 1]) == [5, 6, 5, 6])
  }

  private func gathered<T: FixedWidthInteger>(_ source: [T], _ shape: [Int], _ strides: [Int]) -> [T] {
    var target = [T](repeating: 0, count: shape.reduce(1, *))
    unsafe sim_gather(source, &target, MemoryLayout<T>.size, shape.count, shape, strides)
    return target
  }
}
