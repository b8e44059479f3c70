import CSimilarityKernels
import Testing

/// Elements at any strides in memory that ends with the last of them.
final class Operand {
  /// What lies in the gaps.
  static let untouched = Float(bitPattern: 0x7fc0_1234)

  let shape: [Int]
  let strides: [Int]
  /// Where the element with all indices 0 is.
  let start: Int
  let storage: GuardedArray<Float>

  private init(_ shape: [Int], strides: [Int], start: Int, storage: GuardedArray<Float>) {
    self.shape = shape
    self.strides = strides
    self.start = start
    self.storage = storage
  }

  convenience init(_ shape: [Int], strides: [Int], _ number: () -> Float = { untouched }) {
    let reaches = zip(shape, strides).map { ($0 - 1) * $1 }
    let start = shape.contains(0) ? 0 : -reaches.filter { $0 < 0 }.reduce(0, +)
    let count = shape.contains(0) ? 0 : start + reaches.filter { $0 > 0 }.reduce(0, +) + 1
    let storage = GuardedArray(repeating: Operand.untouched, count: count)
    self.init(shape, strides: strides, start: start, storage: storage)
    for index in indices { storage[place(index)] = number() }
  }

  var rank: Int { shape.count }
  var origin: UnsafeMutablePointer<Float> { unsafe storage.pointer + start }

  /// All indices, the last axis running fastest.
  var indices: [[Int]] {
    shape.reduce([[]]) { indices, size in indices.flatMap { index in (0..<size).map { index + [$0] } } }
  }

  func offset(_ index: [Int]) -> Int { zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 } }
  func place(_ index: [Int]) -> Int { start + offset(index) }
  subscript(index: [Int]) -> Float { storage[place(index)] }

  /// The elements whose other indices are 0.
  func keeping(_ axes: [Int]) -> Operand {
    Operand(axes.map { shape[$0] }, strides: axes.map { strides[$0] }, start: start, storage: storage)
  }

  func without(_ axis: Int) -> Operand { keeping(shape.indices.filter { $0 != axis }) }

  /// A loop over the axes of operands that have one shape; nil for an operand that there is not.
  static func loop(_ operands: [Operand?]) -> imsim_tensor_loop {
    let shape = operands.lazy.compactMap { $0 }.first?.shape ?? []
    var loop = imsim_tensor_loop()
    loop.rank = Int32(shape.count)
    unsafe setElements(of: &loop.shape, to: shape)
    let rows = operands.map { $0.map { $0.strides + Array(repeating: 0, count: 8 - $0.rank) } }
    unsafe setElements(of: &loop.strides, to: rows.flatMap { $0 ?? Array(repeating: 0, count: 8) })
    return loop
  }
}

/// Sets the first elements of a C array, which Swift sees as a tuple.
@unsafe func setElements<Elements, E: BitwiseCopyable>(of array: inout Elements, to elements: [E]) {
  precondition(elements.count * MemoryLayout<E>.stride <= MemoryLayout<Elements>.size, "they fit the array")
  unsafe withUnsafeMutableBytes(of: &array) { bytes in
    for (i, element) in elements.enumerated() {
      unsafe bytes.storeBytes(of: element, toByteOffset: i * MemoryLayout<E>.stride, as: E.self)
    }
  }
}

/// How far a result may be from what is expected: relative to it, or at all.
struct Tolerance {
  var relative: Float
  var absolute: Float

  init(_ relative: Float = 0, _ absolute: Float = 0) {
    self.relative = relative
    self.absolute = absolute
  }

  func allows(_ found: Float, for expected: Float) -> Bool {
    if found == expected || found.isNaN && expected.isNaN { return true }
    return expected.isFinite && abs(found - expected) <= relative * abs(expected) + absolute
  }
}

/// SplitMix64, so that every run has the same cases.
struct SeededNumbers: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Shapes of all ranks from 0 to `maximumRank`, of at most about 900 elements; one in eight has no elements.
  mutating func shapes(count: Int, maximumRank: Int = 8) -> [[Int]] {
    (0..<count).map { number in
      let rank = number % (maximumRank + 1)
      var shape: [Int] = []
      var room = 900
      for _ in 0..<rank {
        let size = Int.random(
          in: 1...max(1, min(room, [1, 3, 9, 40, 700].randomElement(using: &self) ?? 1)), using: &self)
        shape.append(size)
        room /= size
      }
      shape.shuffle(using: &self)
      if rank > 0, number % 8 == 7 { shape[Int.random(in: 0..<rank, using: &self)] = 0 }
      return shape
    }
  }

  /// Strides for a shape: axes in any order, with and without gaps, and, of inputs, repeated ones; some backwards.
  mutating func strides(_ shape: [Int], isOutput: Bool) -> [Int] {
    var strides = Array(repeating: 0, count: shape.count)
    var stride = Int.random(in: 0..<4, using: &self) == 0 ? 3 : 1
    let isPermuted = Bool.random(using: &self)
    let isPlain = Int.random(in: 0..<3, using: &self) == 0
    let axes = Array(shape.indices.reversed())
    for axis in isPermuted ? axes.shuffled(using: &self) : axes {
      if !isOutput, !isPlain, Int.random(in: 0..<4, using: &self) == 0 { continue }
      strides[axis] = !isPlain && Int.random(in: 0..<5, using: &self) == 0 ? -stride : stride
      stride *= max(shape[axis], 1)
      if !isPlain, Int.random(in: 0..<4, using: &self) == 0 { stride += 5 }
    }
    return strides
  }

  /// An output whose elements are untouched.
  mutating func output(_ shape: [Int]) -> Operand { Operand(shape, strides: strides(shape, isOutput: true)) }

  /// An input of numbers in a range, of which one in four is one of `special`.
  mutating func input(
    _ shape: [Int], in range: ClosedRange<Float> = -8...8, special: [Float] = [], isRepeated: Bool = true
  ) -> Operand {
    let strides = strides(shape, isOutput: !isRepeated)
    return Operand(shape, strides: strides) {
      if Int.random(in: 0..<4, using: &self) == 0, let number = special.randomElement(using: &self) { return number }
      return Float.random(in: range, using: &self)
    }
  }
}
