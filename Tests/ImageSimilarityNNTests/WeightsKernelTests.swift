import CSimilarityKernels
import Testing

@Suite struct WeightsKernelTests {
  @Test(arguments: [(1, 1, 1), (3, 2, 9), (16, 5, 1), (17, 3, 4), (40, 1, 25)])
  func foldFilters(_ filters: Int, _ channels: Int, _ taps: Int) {
    let weights = GuardedArray((0..<filters * channels * taps).map { Float($0 % 1009) / 7 - 70 })
    let factors = GuardedArray((0..<filters).map { 1 / Double($0 + 3) })
    let folded = GuardedArray(repeating: Float.nan, count: weights.count)
    unsafe imsim_fold_filters(weights.pointer, filters, channels, taps, factors.pointer, folded.pointer)
    for f in 0..<filters {
      for c in 0..<channels {
        for t in 0..<taps {
          // Rounded once.
          let expected = Float(Double(weights[(f * channels + c) * taps + t]) * factors[f])
          #expect(folded[(t * channels + c) * filters + f] == expected)
        }
      }
    }
  }

  @Test(arguments: [Float.infinity, -.infinity, .nan, .signalingNaN]) func firstNotFinite(_ value: Float) {
    let count = 37
    let values = GuardedArray((0..<count).map { $0 % 2 == 0 ? Float.greatestFiniteMagnitude : -.leastNonzeroMagnitude })
    #expect(unsafe imsim_first_not_finite(values.pointer, count) == count)
    #expect(unsafe imsim_first_not_finite(values.pointer, 0) == 0)
    for i in (0..<count).reversed() {
      values[i] = value
      #expect(unsafe imsim_first_not_finite(values.pointer, count) == i)
      #expect(unsafe imsim_first_not_finite(values.pointer, i) == i)
    }
  }
}
