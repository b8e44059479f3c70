import ImageSimilarityCore

/// Search as its definition reads: all distances in fp64, rounded to fp32, sorted.
struct BruteForce {
  let vectors: [[Float]]
  let ids: [String]
  let metric: Metric

  func all(_ query: [Float]) -> [Neighbor] {
    zip(ids, vectors).map { Neighbor(id: $0, distance: distance(query, $1)) }.sorted()
  }

  private func distance(_ a: [Float], _ b: [Float]) -> Float {
    switch metric {
    case .innerProduct:
      return Float(0 - sum(a, b, *))
    case .euclidean:
      return Float(sum(a, b) { ($0 - $1) * ($0 - $1) }.squareRoot())
    case .cosine:
      let aa = sum(a, a, *)
      let bb = sum(b, b, *)
      if aa == 0 || bb == 0 { return aa == bb ? 0 : 1 }
      return Float(max(0, 1 - sum(a, b, *) / (aa * bb).squareRoot()))
    }
  }

  /// The order of summation that the kernels promise: 8 lanes, then a tree.
  private func sum(_ a: [Float], _ b: [Float], _ term: (Double, Double) -> Double) -> Double {
    var lanes = [Double](repeating: 0, count: 8)
    for i in a.indices { lanes[i % 8] += term(Double(a[i]), Double(b[i])) }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed.
struct SplitMix64 {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// From 0 to `below - 1`.
  mutating func integer(_ below: UInt64) -> UInt64 { bits() % below }

  /// From -1 to 1.
  mutating func next() -> Float { Float(Int64(bits() >> 40) - (1 << 23)) / Float(1 << 23) }
}
