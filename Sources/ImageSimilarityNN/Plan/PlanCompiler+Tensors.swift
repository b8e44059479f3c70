internal import CSimilarityKernels
internal import ImageSimilarityCore

extension PlanCompiler {
  typealias Tensor = NetworkBuilder.Tensor

  /// A tensor with its place and its strides in elements.
  private struct Operand {
    var place: TensorStep.Place
    var shape: [Int]
    var strides: [Int]
  }

  mutating func tensor(_ layer: NetworkBuilder.TensorLayer) -> TensorStep {
    let operands = layer.operands.map { operand($0) }
    let results = layer.results.map { operand($0) }
    let (x, y) = (operands[0], results[0])
    // What runs row by row has passes over one row.
    let row = layer.rowAxis
    func pass(_ kernel: TensorStep.Kernel, without axes: [Int] = [], inputs: [Operand]? = nil) -> TensorStep.Pass {
      let inputs = inputs ?? operands
      var pass = Self.pass(kernel, y, inputs, axes: y.shape.indices.filter { !axes.contains($0) && $0 != row })
      if let row { pass.rowStrides = [y.strides[row]] + inputs.map { $0.strides[row] } }
      return pass
    }
    func along(_ axis: Int, _ count: Int) -> TensorStep.Axis {
      TensorStep.Axis(count: count, inStride: x.strides[axis], outStride: y.strides[axis])
    }

    switch layer.operation {
    case .assemble(let fill):
      var passes: [TensorStep.Pass] = []
      if let fill, let value = layer.results[0].value {
        let whole = operand(Tensor(channelsFirst: value))
        passes.append(Self.pass(.fill(fill), whole, [], axes: Array(whole.shape.indices)))
      }
      for (x, y) in zip(operands, results) {
        passes.append(Self.pass(.copy, y, [x], axes: Array(y.shape.indices)))
      }
      return TensorStep(passes: passes)
    case .unary(let function):
      let (kernel, alpha, beta) = function.kernel
      return TensorStep(passes: [pass(.unary(kernel, alpha, beta))])
    case .binary(let function):
      return TensorStep(passes: [pass(.binary(function.kernel))])
    case .reduce(let function):
      let axes = x.shape.indices.filter { x.shape[$0] != y.shape[$0] }
      let over = TensorLoop(
        shape: axes.map { x.shape[$0] }, strides: [axes.map { _ in 0 }, axes.map { x.strides[$0] }])
      return TensorStep(passes: [pass(.reduce(function.kernel, over: over), without: axes)])
    case .softmax(let axis, let log):
      return TensorStep(passes: [pass(.softmax(log: log, along(axis, x.shape[axis])), without: [axis])])
    case .layerNormalization(let epsilon, let hasScale, let hasBias):
      let axis = x.shape.count - 1
      var step = pass(
        .layerNormalization(epsilon: epsilon, along(axis, x.shape[axis]), hasScale: hasScale, hasBias: hasBias),
        without: [axis], inputs: [x])
      step.inputs = operands.map(\.place)
      // Scale and bias are the same for all rows.
      step.rowStrides = step.rowStrides.map { $0 + [Int](repeating: 0, count: operands.count - 1) }
      return TensorStep(passes: [step])
    case .resample(let axis, let indices, let weights):
      let taps = indices[0].count
      let indexTable = reserve(indices.count * taps * MemoryLayout<Int32>.stride)
      let weightTable = reserve(indices.count * taps * MemoryLayout<Float>.stride)
      indexTables.append((indexTable, indices.flatMap { $0.map(Int32.init) }))
      weightTables.append((weightTable, weights.flatMap(\.self)))
      let kernel = TensorStep.Kernel.resample(
        along(axis, indices.count), taps: taps, indices: indexTable, weights: weightTable)
      return TensorStep(passes: [pass(kernel, without: [axis])])
    case .pool(let pool):
      return TensorStep(passes: [pass(.pool(window(pool, x, y)), without: Array(2..<x.shape.count))])
    case .localResponseNormalization(let size, let alpha, let beta, let bias):
      let kernel = TensorStep.Kernel.localResponseNormalization(
        along(1, x.shape[1]), size: size, alpha: alpha, beta: beta, bias: bias)
      return TensorStep(passes: [pass(kernel, without: [1])])
    case .matrixProduct:
      return TensorStep(passes: [pass(.product(product(operands[0], operands[1], y)))])
    }
  }

  private static func pass(
    _ kernel: TensorStep.Kernel, _ output: Operand, _ inputs: [Operand], axes: [Int]
  ) -> TensorStep.Pass {
    // A product walks by itself.
    var axes = axes
    if case .product = kernel { axes = [] }
    let loop = TensorLoop(
      shape: axes.map { output.shape[$0] },
      strides: ([output] + inputs).map { operand in axes.map { operand.strides[$0] } })
    return TensorStep.Pass(kernel: kernel, loop: loop, inputs: inputs.map(\.place), output: output.place)
  }

  private func window(_ pool: NetworkBuilder.Pool, _ x: Operand, _ y: Operand) -> imsim_tensor_pool_window {
    var window = imsim_tensor_pool_window()
    window.rank = Int32(pool.kernel.count)
    let kind =
      switch pool.kind {
      case .max: IMSIM_POOL_MAX
      case .average(let countsPadding): countsPadding ? IMSIM_POOL_AVERAGE_PADDED : IMSIM_POOL_AVERAGE
      }
    window.kind = Int32(kind.rawValue)
    func set<T>(_ field: WritableKeyPath<imsim_tensor_pool_window, (T, T, T)>, _ values: [T], else rest: T) {
      let all = values + [T](repeating: rest, count: 3 - values.count)
      window[keyPath: field] = (all[0], all[1], all[2])
    }
    set(\.in_size, Array(x.shape[2...]), else: 1)
    set(\.out_size, Array(y.shape[2...]), else: 1)
    set(\.in_stride, Array(x.strides[2...]), else: 0)
    set(\.out_stride, Array(y.strides[2...]), else: 0)
    set(\.kernel, pool.kernel.map(Int32.init), else: 1)
    set(\.stride, pool.stride.map(Int32.init), else: 1)
    set(\.dilation, pool.dilation.map(Int32.init), else: 1)
    set(\.pad_before, pool.padBefore.map(Int32.init), else: 0)
    set(\.pad_after, pool.padAfter.map(Int32.init), else: 0)
    return window
  }

  private mutating func product(_ a: Operand, _ b: Operand, _ y: Operand) -> TensorStep.Product {
    let rank = y.shape.count
    let (m, n, k) = (y.shape[rank - 2], y.shape[rank - 1], a.shape[rank - 1])
    precondition(k == 1 || a.strides[rank - 1] == 1, "rows of the left matrix are runs")
    precondition(n == 1 || y.strides[rank - 1] == 1, "rows of the result are runs")
    var starts = [(left: 0, right: 0, out: 0)]
    for axis in 0..<rank - 2 {
      starts = starts.flatMap { start in
        (0..<y.shape[axis]).map { i in
          (
            start.left + i * a.strides[axis], start.right + i * b.strides[axis], start.out + i * y.strides[axis]
          )
        }
      }
    }
    return TensorStep.Product(
      m: m, k: k, n: n, leftRow: a.strides[rank - 2], rightRow: b.strides[rank - 2], rightColumn: b.strides[rank - 1],
      outRow: y.strides[rank - 2],
      packed: reserveScratch(imsim_convolution_packed_size(IMSIM_ELEMENT_FP32, lanes, 1, k, n)),
      zeros: reserveVector(n), taps: reserve(MemoryLayout<Int>.stride), lanes: lanes, starts: starts)
  }

  private mutating func operand(_ tensor: Tensor) -> Operand {
    switch tensor.source {
    case .value(let value):
      let slot = arena.slot(value)
      func resolved(_ stride: NetworkBuilder.Stride) -> Int { stride.resolved(row: slot.row, pixel: slot.pixel) }
      return Operand(
        place: .arena(slot, element: resolved(tensor.offset)), shape: tensor.shape,
        strides: tensor.strides.map(resolved))
    case .constant(let name, let shape):
      let start = tensorConstants[name] ?? reserve(shape.reduce(1, *) * MemoryLayout<Float>.stride)
      tensorConstants[name] = start
      return Operand(
        place: .constant(start + tensor.offset.element * MemoryLayout<Float>.stride), shape: tensor.shape,
        strides: tensor.strides.map(\.element))
    }
  }

  func writeTensorConstants() throws(SimilarityError) {
    for (name, offset) in tensorConstants { write(try parameters.constant(name), to: offset) }
    for (offset, values) in weightTables { write(values, to: offset) }
    for (offset, values) in indexTables {
      unsafe (constants.start + offset).assumingMemoryBound(to: Int32.self).update(from: values, count: values.count)
    }
  }
}

extension NetworkBuilder.Unary {
  /// The kernel's function and its two parameters.
  var kernel: (imsim_unary, Float, Float) {
    switch self {
    case .clamp(let low, let high): (IMSIM_UNARY_CLAMP, low, high)
    case .affine(let scale, let shift): (IMSIM_UNARY_AFFINE, scale, shift)
    case .sigmoid: (IMSIM_UNARY_SIGMOID, 0, 0)
    case .tanh: (IMSIM_UNARY_TANH, 0, 0)
    case .exp: (IMSIM_UNARY_EXP, 0, 0)
    case .log: (IMSIM_UNARY_LOG, 0, 0)
    case .sqrt: (IMSIM_UNARY_SQRT, 0, 0)
    case .reciprocal: (IMSIM_UNARY_RECIPROCAL, 0, 0)
    case .abs: (IMSIM_UNARY_ABS, 0, 0)
    case .neg: (IMSIM_UNARY_NEG, 0, 0)
    case .erf: (IMSIM_UNARY_ERF, 0, 0)
    case .gelu: (IMSIM_UNARY_GELU, 0, 0)
    case .geluTanh: (IMSIM_UNARY_GELU_TANH, 0, 0)
    case .silu: (IMSIM_UNARY_SILU, 0, 0)
    case .hardSwish: (IMSIM_UNARY_HARD_SWISH, 0, 0)
    case .hardSigmoid(let alpha, let beta): (IMSIM_UNARY_HARD_SIGMOID, alpha, beta)
    case .leakyRelu(let slope): (IMSIM_UNARY_LEAKY_RELU, slope, 0)
    case .elu(let alpha): (IMSIM_UNARY_ELU, alpha, 0)
    case .selu(let alpha, let gamma): (IMSIM_UNARY_SELU, alpha, gamma)
    case .softplus: (IMSIM_UNARY_SOFTPLUS, 0, 0)
    case .softsign: (IMSIM_UNARY_SOFTSIGN, 0, 0)
    case .celu(let alpha): (IMSIM_UNARY_CELU, alpha, 0)
    case .thresholdedRelu(let alpha): (IMSIM_UNARY_THRESHOLDED_RELU, alpha, 0)
    case .floor: (IMSIM_UNARY_FLOOR, 0, 0)
    case .ceil: (IMSIM_UNARY_CEIL, 0, 0)
    case .round: (IMSIM_UNARY_ROUND, 0, 0)
    case .truncate: (IMSIM_UNARY_TRUNCATE, 0, 0)
    case .sign: (IMSIM_UNARY_SIGN, 0, 0)
    case .mish: (IMSIM_UNARY_MISH, 0, 0)
    case .square: (IMSIM_UNARY_SQUARE, 0, 0)
    }
  }
}

extension NetworkBuilder.Binary {
  var kernel: imsim_binary {
    switch self {
    case .add: IMSIM_BINARY_ADD
    case .subtract: IMSIM_BINARY_SUBTRACT
    case .multiply: IMSIM_BINARY_MULTIPLY
    case .divide: IMSIM_BINARY_DIVIDE
    case .power: IMSIM_BINARY_POWER
    case .minimum: IMSIM_BINARY_MINIMUM
    case .maximum: IMSIM_BINARY_MAXIMUM
    case .prelu: IMSIM_BINARY_PRELU
    }
  }
}

extension NetworkBuilder.Reduction {
  var kernel: imsim_reduction {
    switch self {
    case .mean: IMSIM_REDUCTION_MEAN
    case .sum: IMSIM_REDUCTION_SUM
    case .max: IMSIM_REDUCTION_MAX
    case .min: IMSIM_REDUCTION_MIN
    case .product: IMSIM_REDUCTION_PRODUCT
    case .sumOfSquares: IMSIM_REDUCTION_SUM_OF_SQUARES
    case .sumOfAbs: IMSIM_REDUCTION_SUM_OF_ABS
    }
  }
}
