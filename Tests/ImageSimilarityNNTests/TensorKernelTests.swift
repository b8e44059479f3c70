import CSimilarityKernels
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Operations on tensors of every level against plain Swift: shapes of every rank, and layouts with gaps, permuted axes,
/// and strides of 0 and below. Inputs end where their memory ends, and results are compared together with everything
/// around them.
@Suite struct TensorKernelTests {
  /// The levels that this machine can run and that have kernels of their own.
  static let levels = supportedLevels.filter {
    unsafe $0 == 0 || imsim_tensor_kernels_for($0) != imsim_tensor_kernels_for($0 - 1)
  }
  /// Numbers at which functions are special.
  static let special: [Float] = [
    .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -.leastNormalMagnitude, .greatestFiniteMagnitude,
    -.greatestFiniteMagnitude, 1, -1, 2.5, -89, 88.7, -104,
  ]
  /// Those of them whose sums do not overflow on the way.
  static let specialTerms: [Float] = [.nan, .infinity, -.infinity, 0, -0.0]

  @Test func everyLevelHasKernels() {
    for level in -1...Int32(IMSIM_LEVEL_COUNT) {
      #expect(unsafe (imsim_tensor_kernels_for(level) != nil) == supportedLevels.contains(level))
    }
    #expect(unsafe imsim_tensor_kernels_current() == imsim_tensor_kernels_for(imsim_level_current()))
  }

  private func kernels(_ level: Int32) throws -> imsim_tensor_kernels {
    try unsafe #require(imsim_tensor_kernels_for(level)).pointee
  }

  /// Runs a kernel over a loop as it is, and in the best order, and compares everything that its output has.
  private func check(
    _ output: Operand, _ loop: imsim_tensor_loop, _ tolerance: Tolerance, _ description: String,
    expected: ([Int]) -> Float, run: (inout imsim_tensor_loop) -> Void
  ) throws {
    let indices = output.indices
    var wanted = Array(repeating: Operand.untouched, count: output.storage.count)
    for index in indices { wanted[output.place(index)] = expected(index) }
    var coalesced = loop
    unsafe imsim_tensor_coalesce(&coalesced)
    for var loop in [loop, coalesced] {
      for i in 0..<output.storage.count { output.storage[i] = Operand.untouched }
      run(&loop)
      for index in indices {
        let place = output.place(index)
        let found = output.storage[place]
        try #require(
          tolerance.allows(found, for: wanted[place]),
          "\(description), \(output.shape) at \(index) is \(found), not \(wanted[place])")
        output.storage[place] = wanted[place]
      }
      try #require(
        output.storage.elements.map(\.bitPattern) == wanted.map(\.bitPattern),
        "\(description), \(output.shape): something between the elements was written")
    }
  }

  // MARK: Loops

  /// Loops in the best order visit the same elements, and are as short as they can be.
  @Test func coalesce() {
    func coalesced(_ operands: [Operand]) -> (shape: [Int], strides: [Int]) {
      var loop = Operand.loop(operands)
      unsafe imsim_tensor_coalesce(&loop)
      let (shape, strides) = (elements(of: loop.shape), elements(of: loop.strides))
      return (Array(shape.prefix(Int(loop.rank))), Array(strides.prefix(Int(loop.rank))))
    }
    let shape = [1, 2, 1, 3, 4]
    #expect(coalesced([Operand(shape, strides: [9, 12, 7, 4, 1])]) == ([24], [1]))
    #expect(coalesced([Operand(shape, strides: [9, 1, 7, 2, 6])]) == ([24], [1]), "any order of axes")
    #expect(coalesced([Operand(shape, strides: [9, 13, 7, 4, 1])]) == ([2, 12], [13, 1]), "a gap")
    #expect(coalesced([Operand(shape, strides: [9, -12, 7, -4, -1])]) == ([24], [-1]))
    let dense = Operand(shape, strides: [24, 12, 12, 4, 1])
    #expect(
      coalesced([dense, Operand(shape, strides: [0, 0, 0, 0, 1])]) == ([6, 4], [4, 1]), "one operand repeats rows")
    #expect(coalesced([dense, Operand(shape, strides: [0, 0, 0, 0, 0])]) == ([24], [1]))
    #expect(coalesced([Operand([], strides: [])]) == ([], []))
    #expect(coalesced([Operand([1, 1], strides: [3, 4])]) == ([], []))
    #expect(coalesced([Operand([3, 0], strides: [1, 3])]).shape.contains(0))
  }

  private func elements<Elements>(of array: Elements) -> [Int] {
    unsafe withUnsafeBytes(of: array) { unsafe Array($0.bindMemory(to: Int.self)) }
  }

  // MARK: Elements

  @Test(arguments: levels) func fill(_ level: Int32) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 1)
    for shape in random.shapes(count: 60) {
      let output = random.output(shape)
      try check(
        output, Operand.loop([output]), Tolerance(), "fill", expected: { _ in 7.5 },
        run: { unsafe kernels.fill(&$0, 7.5, output.origin) })
    }
  }

  @Test(arguments: levels) func copy(_ level: Int32) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 2)
    for shape in random.shapes(count: 200) {
      try copy(kernels, random.input(shape), random.output(shape))
    }
  }

  /// Sizes that blocks of transpositions divide, and others.
  @Test(arguments: levels, [1, 7, 8, 9, 16, 31, 32, 67, 130]) func transpose(_ level: Int32, _ rows: Int) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 3)
    for columns in [1, 3, 8, 15, 16, 24, 33, 70] {
      for (outer, gap) in [(1, 0), (3, 5)] {
        let (row, column) = (columns + gap, rows + gap)
        let input = Operand([outer, rows, columns], strides: [rows * row + gap, row, 1]) {
          Float.random(in: -8...8, using: &random)
        }
        try copy(kernels, input, Operand(input.shape, strides: [columns * column + gap, 1, column]))
      }
    }
  }

  private func copy(_ kernels: imsim_tensor_kernels, _ input: Operand, _ output: Operand) throws {
    let description = "copy of strides \(input.strides) to \(output.strides)"
    try check(
      output, Operand.loop([output, input]), Tolerance(), description, expected: { input[$0] },
      run: { unsafe kernels.copy(&$0, input.origin, output.origin) })
  }

  @Test(arguments: levels, unaryFunctions) func unary(_ level: Int32, _ function: UnaryFunction) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 4)
    let (f, alpha, beta) = (function.kind, function.alpha, function.beta)
    for shape in random.shapes(count: 30) {
      let (input, output) = (random.input(shape, special: Self.special), random.output(shape))
      let expected = { (index: [Int]) in Float(function.value(Double(input[index]))) }
      try check(output, Operand.loop([output, input]), function.tolerance, "\(function)", expected: expected) {
        unsafe kernels.unary(f, alpha, beta, &$0, input.origin, output.origin)
      }
      try check(output, Operand.loop([output, output]), function.tolerance, "\(function) in place", expected: expected)
      {
        for index in output.indices { output.storage[output.place(index)] = input[index] }
        unsafe kernels.unary(f, alpha, beta, &$0, output.origin, output.origin)
      }
    }
  }

  /// The accuracy that tensor.h promises, over numbers of all magnitudes.
  @Test(arguments: levels) func accuracy(_ level: Int32) throws {
    let kernels = try kernels(level)
    let promises: [(name: String, f: imsim_unary, value: (Double) -> Double, allowed: (Float) -> Float)] = [
      ("exp", IMSIM_UNARY_EXP, { exp($0) }, { 4 * $0.ulp }),
      ("log", IMSIM_UNARY_LOG, { log($0) }, { 4 * $0.ulp }),
      ("tanh", IMSIM_UNARY_TANH, { tanh($0) }, { 4 * $0.ulp }),
      ("erf", IMSIM_UNARY_ERF, { erf($0) }, { min(4 * $0.ulp, 1e-7) }),
    ]
    let numbers = (0..<UInt32(1 << 16)).map { Float(bitPattern: $0 << 16 | ($0 &* 40503) & 0xffff) }
    let input = Operand([numbers.count], strides: [1])
    for (i, number) in numbers.enumerated() { input.storage[i] = number }
    let output = Operand(input.shape, strides: [1])
    var loop = Operand.loop([output, input])
    for promise in promises {
      unsafe kernels.unary(promise.f, 0, 0, &loop, input.origin, output.origin)
      for (i, number) in numbers.enumerated() {
        let (found, exact) = (output.storage[i], promise.value(Double(number)))
        let expected = Float(exact)
        let isRight =
          expected.isFinite
          ? abs(Double(found) - exact) <= Double(promise.allowed(expected))
          : Tolerance().allows(found, for: expected)
        try #require(isRight, "\(promise.name) of \(number) is \(found), not \(exact)")
      }
    }
  }

  @Test(arguments: levels, binaryFunctions) func binary(_ level: Int32, _ function: BinaryFunction) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 5)
    for shape in random.shapes(count: 60) {
      let (a, b) = (random.input(shape, special: Self.special), random.input(shape, special: Self.special))
      let output = random.output(shape)
      let expected = { (index: [Int]) in Float(function.value(Double(a[index]), Double(b[index]))) }
      let tolerance = Tolerance(3e-7, .leastNonzeroMagnitude)
      try check(output, Operand.loop([output, a, b]), tolerance, "\(function)", expected: expected) {
        unsafe kernels.binary(function.kind, &$0, a.origin, b.origin, output.origin)
      }
      try check(output, Operand.loop([output, output, b]), tolerance, "\(function) in place", expected: expected) {
        for index in output.indices { output.storage[output.place(index)] = a[index] }
        unsafe kernels.binary(function.kind, &$0, output.origin, b.origin, output.origin)
      }
    }
  }

  // MARK: Reductions

  @Test(arguments: levels, reductions) func reduce(_ level: Int32, _ reduction: Reduction) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 6)
    for (index, shape) in random.shapes(count: 90, maximumRank: 6).enumerated() {
      let reduced = shape.indices.filter { _ in Bool.random(using: &random) }
      let special = index % 4 == 3 ? Self.specialTerms : []
      try reduce(kernels, reduction, random.input(shape, in: 0.5...1.5, special: special), reduced, &random)
    }
    // Long rows and columns, and nothing.
    for (shape, reduced) in [
      ([700], [0]), ([3, 700], [1]), ([700, 3], [0]), ([5, 601], [0]), ([2, 0, 3], [1]), ([4, 0], [1]), ([0, 3], [1]),
      ([3, 700, 2], [0, 1]), ([0], [0]),
    ] {
      let strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
      let input = Operand(shape, strides: strides) { Float.random(in: 0.5...1.5, using: &random) }
      try reduce(kernels, reduction, input, reduced, &random)
    }
  }

  private func reduce(
    _ kernels: imsim_tensor_kernels, _ reduction: Reduction, _ input: Operand, _ reduced: [Int],
    _ random: inout SeededNumbers
  ) throws {
    let kept = input.keeping(input.shape.indices.filter { !reduced.contains($0) })
    let inner = input.keeping(reduced)
    let output = random.output(kept.shape)
    let offsets = inner.indices.map(inner.offset)
    let expected = { (index: [Int]) in
      Float(reduction.value(offsets.map { Double(input.storage[kept.place(index) + $0]) }))
    }
    let description = "\(reduction) of \(input.shape), \(input.strides) along \(reduced)"
    for isCoalesced in [false, true] {
      var innerLoop = Operand.loop([nil, inner])
      if isCoalesced { unsafe imsim_tensor_coalesce(&innerLoop) }
      let loop = Operand.loop([output, kept])
      try check(output, loop, reduction.tolerance, description, expected: expected) {
        unsafe kernels.reduce(reduction.kind, &$0, &innerLoop, input.origin, output.origin)
      }
    }
  }

  // MARK: Rows

  @Test(arguments: levels, [false, true]) func softmax(_ level: Int32, _ isLog: Bool) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 7)
    for (index, shape) in random.shapes(count: 120, maximumRank: 5).enumerated() where !shape.isEmpty {
      let axis = Int.random(in: 0..<shape.count, using: &random)
      let input = random.input(shape, special: index % 3 == 2 ? Self.specialTerms : [])
      let output = random.output(shape)
      let (count, inStride, outStride) = (shape[axis], input.strides[axis], output.strides[axis])
      let rowed = { (index: [Int]) in
        (0..<count).map { i in
          var index = index
          index[axis] = i
          return Double(input[index])
        }
      }
      let expected = { (index: [Int]) in
        let row = rowed(index)
        let most = row.reduce(-.infinity) { $0.isNaN || $0 > $1 ? $0 : $1 }
        let sum = row.reduce(0) { $0 + exp($1 - most) }
        let difference = Double(input[index]) - most
        return Float(isLog ? difference - log(sum) : exp(difference) / sum)
      }
      let tolerance = Tolerance(2e-6, isLog ? 2e-6 : 0x1p-133)
      let description = "softmax along \(axis) of strides \(input.strides) to \(output.strides)"
      let loop = Operand.loop([output.without(axis), input.without(axis)])
      try check(output, loop, tolerance, description, expected: expected) {
        unsafe kernels.softmax(isLog ? 1 : 0, &$0, count, inStride, outStride, input.origin, output.origin)
      }
      let inPlace = Operand.loop([output.without(axis), output.without(axis)])
      try check(output, inPlace, tolerance, description + " in place", expected: expected) {
        for index in output.indices { output.storage[output.place(index)] = input[index] }
        unsafe kernels.softmax(isLog ? 1 : 0, &$0, count, outStride, outStride, output.origin, output.origin)
      }
    }
  }

  @Test(arguments: levels) func layerNormalization(_ level: Int32) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 8)
    for (index, shape) in random.shapes(count: 120, maximumRank: 5).enumerated() where !shape.isEmpty {
      let axis = Int.random(in: 0..<shape.count, using: &random)
      let (input, output) = (random.input(shape), random.output(shape))
      let (count, inStride, outStride) = (shape[axis], input.strides[axis], output.strides[axis])
      let scale = Operand([count], strides: [1]) { Float.random(in: -2...2, using: &random) }
      let bias = Operand([count], strides: [1]) { Float.random(in: -2...2, using: &random) }
      let (hasScale, hasBias) = (index % 2 == 0, index % 3 == 0)
      let epsilon: Float = 0.01
      let expected = { (index: [Int]) in
        let row = (0..<count).map { i in
          var index = index
          index[axis] = i
          return Double(input[index])
        }
        let mean = row.reduce(0, +) / Double(count)
        let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
        let normal = (Double(input[index]) - mean) / (variance + Double(epsilon)).squareRoot()
        let i = [index[axis]]
        return Float(normal * Double(hasScale ? scale[i] : 1) + Double(hasBias ? bias[i] : 0))
      }
      let (scalePointer, biasPointer) = unsafe (hasScale ? scale.origin : nil, hasBias ? bias.origin : nil)
      let loop = Operand.loop([output.without(axis), input.without(axis)])
      let description = "layer normalization along \(axis) of strides \(input.strides) to \(output.strides)"
      try check(output, loop, Tolerance(1e-5, 2e-5), description, expected: expected) {
        unsafe kernels.layer_norm(
          &$0, count, inStride, outStride, epsilon, scalePointer, biasPointer, input.origin, output.origin)
      }
      let inPlace = Operand.loop([output.without(axis), output.without(axis)])
      try check(output, inPlace, Tolerance(1e-5, 2e-5), description + " in place", expected: expected) {
        for index in output.indices { output.storage[output.place(index)] = input[index] }
        unsafe kernels.layer_norm(
          &$0, count, outStride, outStride, epsilon, scalePointer, biasPointer, output.origin, output.origin)
      }
    }
  }

  @Test(arguments: levels, [1, 2, 3, 5, 8]) func localResponseNormalization(_ level: Int32, _ size: Int) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 9)
    let (alpha, beta, bias): (Float, Float, Float) = (0.3, 0.75, 1.5)
    for shape in random.shapes(count: 60, maximumRank: 4) where !shape.isEmpty {
      let axis = Int.random(in: 0..<shape.count, using: &random)
      let (input, output) = (random.input(shape), random.output(shape))
      let channels = shape[axis]
      let expected = { (index: [Int]) in
        let c = index[axis]
        var sum = 0.0
        for neighbour in max(0, c - (size - 1) / 2)...min(channels - 1, c + size / 2) {
          var index = index
          index[axis] = neighbour
          sum += Double(input[index]) * Double(input[index])
        }
        return Float(Double(input[index]) / pow(Double(bias) + Double(alpha) / Double(size) * sum, Double(beta)))
      }
      let loop = Operand.loop([output.without(axis), input.without(axis)])
      try check(output, loop, Tolerance(2e-6), "normalization of \(size) along \(axis)", expected: expected) {
        unsafe kernels.lrn(
          &$0, channels, input.strides[axis], output.strides[axis], Int32(size), alpha, beta, bias, input.origin,
          output.origin)
      }
    }
  }

  // MARK: Weighted sums and windows

  @Test(arguments: levels, [1, 2, 4]) func resample(_ level: Int32, _ taps: Int) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 10)
    for shape in random.shapes(count: 80, maximumRank: 5) where !shape.isEmpty {
      let axis = Int.random(in: 0..<shape.count, using: &random)
      let input = random.input(shape)
      var outShape = shape
      outShape[axis] = shape[axis] == 0 ? 0 : Int.random(in: 0...2 * shape[axis], using: &random)
      let output = random.output(outShape)
      let indices = (0..<outShape[axis] * taps).map { _ in Int32.random(in: 0..<Int32(shape[axis]), using: &random) }
      let weights = indices.map { _ in taps == 1 ? 1 : Float.random(in: -2...2, using: &random) }
      let expected = { (index: [Int]) in
        (0..<taps).reduce(into: Float(0)) { sum, tap in
          var from = index
          from[axis] = Int(indices[index[axis] * taps + tap])
          sum += weights[index[axis] * taps + tap] * input[from]
        }
      }
      // A loop over the axes that both have.
      let loop = Operand.loop([output.without(axis), input.without(axis)])
      let description = "resampling along \(axis) of \(shape), \(input.strides) to \(output.strides)"
      try check(output, loop, Tolerance(0, 1e-5), description, expected: expected) {
        unsafe kernels.resample(
          &$0, outShape[axis], input.strides[axis], output.strides[axis], Int32(taps), indices, weights, input.origin,
          output.origin)
      }
    }
  }

  @Test(arguments: levels, [IMSIM_POOL_MAX, IMSIM_POOL_AVERAGE, IMSIM_POOL_AVERAGE_PADDED])
  func pool(_ level: Int32, _ kind: imsim_pool) throws {
    let kernels = try kernels(level)
    var random = SeededNumbers(seed: 11)
    for number in 0..<150 {
      let rank = number % 4
      let axes = (0..<rank).map { _ in PoolAxis(random: &random) }
      let channels = [[1], [3], [16], [2, 40], [300]].randomElement(using: &random) ?? []
      let shape = channels + axes.map(\.size)
      let input = random.input(shape, special: number % 5 == 4 ? Self.specialTerms : [])
      let output = random.output(channels + axes.map(\.outSize))
      let spatial = Array(channels.count..<shape.count)

      var window = imsim_tensor_pool_window()
      window.rank = Int32(rank)
      window.kind = Int32(kind.rawValue)
      unsafe setElements(of: &window.in_size, to: axes.map(\.size))
      unsafe setElements(of: &window.out_size, to: axes.map(\.outSize))
      unsafe setElements(of: &window.in_stride, to: spatial.map { input.strides[$0] })
      unsafe setElements(of: &window.out_stride, to: spatial.map { output.strides[$0] })
      unsafe setElements(of: &window.kernel, to: axes.map { Int32($0.kernel) })
      unsafe setElements(of: &window.stride, to: axes.map { Int32($0.stride) })
      unsafe setElements(of: &window.dilation, to: axes.map { Int32($0.dilation) })
      unsafe setElements(of: &window.pad_before, to: axes.map { Int32($0.padBefore) })
      unsafe setElements(of: &window.pad_after, to: axes.map { Int32($0.padAfter) })

      let expected = { (index: [Int]) -> Float in
        // The elements inside, as indices, and how many there are with those in the padding.
        var inside = [Array(index.prefix(channels.count))]
        var padded = 1
        for (axis, o) in zip(axes, index.dropFirst(channels.count)) {
          let places = (0..<axis.kernel).map { o * axis.stride - axis.padBefore + $0 * axis.dilation }
          inside = inside.flatMap { index in places.filter { (0..<axis.size).contains($0) }.map { index + [$0] } }
          padded *= places.count { $0 < axis.size + axis.padAfter }
        }
        let elements = inside.map { Double(input[$0]) }
        switch kind {
        case IMSIM_POOL_MAX: return Float(elements.reduce(-.infinity) { $0.isNaN || $0 > $1 ? $0 : $1 })
        case IMSIM_POOL_AVERAGE: return Float(elements.reduce(0, +) / Double(elements.count))
        default: return Float(elements.reduce(0, +) / Double(padded))
        }
      }
      let others = Array(0..<channels.count)
      let loop = Operand.loop([output.keeping(others), input.keeping(others)])
      let description = "pool \(kind.rawValue) of \(shape), \(input.strides), \(axes)"
      let tolerance = kind == IMSIM_POOL_MAX ? Tolerance() : Tolerance(1e-6, 1e-5)
      try check(output, loop, tolerance, description, expected: expected) {
        unsafe kernels.pool(&$0, &window, input.origin, output.origin)
      }
    }
  }

  // MARK: Panels

  @Test(arguments: [4, 8, 16], [1, 3, 8, 17, 40, 64]) func packMatrix(_ lanes: Int, _ k: Int) {
    var random = SeededNumbers(seed: 12)
    for n in [1, 4, 7, 8, 9, 16, 17, 31, 32, 33, 40, 70] {
      for strides in [[n, 1], [1, k], [n + 3, 1], [1, k + 5], [-2 * n, 2], [0, 1], [1, 0]] {
        let matrix = Operand([k, n], strides: strides) { Float.random(in: -8...8, using: &random) }
        let size = imsim_convolution_packed_size(IMSIM_ELEMENT_FP32, Int32(lanes), 1, k, n) / 4
        let (found, expected) = (
          GuardedArray(repeating: Float.nan, count: size), GuardedArray(repeating: Float.nan, count: size)
        )
        unsafe imsim_tensor_pack_matrix(Int32(lanes), matrix.origin, strides[0], strides[1], k, n, found.pointer)
        let dense = matrix.indices.map { matrix[$0] }
        unsafe imsim_convolution_pack(IMSIM_ELEMENT_FP32, Int32(lanes), dense, 1, k, k, n, nil, expected.pointer)
        #expect(found.elements == expected.elements, "\(k) x \(n), strides \(strides), \(lanes) lanes")
      }
    }
  }
}

/// Windows along one axis.
struct PoolAxis {
  var size, kernel, stride, dilation, padBefore, padAfter, outSize: Int

  init(random: inout SeededNumbers) {
    size = Int.random(in: 1...9, using: &random)
    kernel = Int.random(in: 1...4, using: &random)
    stride = Int.random(in: 1...3, using: &random)
    dilation = Int.random(in: 1...2, using: &random)
    let reach = (kernel - 1) * dilation + 1
    padBefore = Int.random(in: 0..<reach, using: &random)
    padAfter = max(Int.random(in: 0..<reach, using: &random), reach - size - padBefore)
    // Sometimes one more window, which begins inside and reaches beyond the padding.
    outSize = (size + padBefore + padAfter - reach) / stride + 1
    if outSize * stride - padBefore < size, Bool.random(using: &random) { outSize += 1 }
  }
}
