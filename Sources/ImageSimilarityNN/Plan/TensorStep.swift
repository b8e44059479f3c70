internal import CSimilarityKernels

/// Numbers that the caller gives.
struct ArgumentStep: Sendable {
  var index: Int
  var output: ArenaLayout.Slot

  @unsafe func run(_ context: StepContext, pictures: Range<Int>) {
    for picture in pictures {
      let values = unsafe context.arguments[index]
      unsafe context.pixel(output, picture: picture).assumingMemoryBound(to: Float.self).update(
        from: values, count: values.count)
    }
  }
}

/// An operation on fp32 tensors of any shape, in passes.
struct TensorStep: Sendable {
  /// Where a tensor's first element lies.
  enum Place: Sendable {
    case arena(ArenaLayout.Slot, element: Int)
    /// Bytes from the start of the constants.
    case constant(Int)
  }

  /// An axis that a kernel walks along by itself.
  struct Axis: Sendable {
    var count: Int
    var inStride: Int
    var outStride: Int
  }

  /// A product of matrices; the right one is packed into scratch memory first.
  struct Product: Sendable {
    var m: Int
    var k: Int
    var n: Int
    /// Between rows of the left matrix and of the result; of the right one, between rows and columns.
    var leftRow: Int
    var rightRow: Int
    var rightColumn: Int
    var outRow: Int
    /// Bytes of the arena.
    var packed: Int
    /// Constants: zeros for each column, and the offset of a product's only tap.
    var zeros: Int
    var taps: Int
    var lanes: Int32
    /// Of each matrix of a stack, in elements.
    var starts: [(left: Int, right: Int, out: Int)]
  }

  enum Kernel: Sendable {
    case fill(Float)
    case copy
    case unary(imsim_unary, Float, Float)
    case binary(imsim_binary)
    case reduce(imsim_reduction, over: TensorLoop)
    case softmax(log: Bool, Axis)
    case layerNormalization(epsilon: Float, Axis, hasScale: Bool, hasBias: Bool)
    /// Offsets of the constants.
    case resample(Axis, taps: Int, indices: Int, weights: Int)
    case pool(imsim_tensor_pool_window)
    case localResponseNormalization(Axis, size: Int, alpha: Float, beta: Float, bias: Float)
    case product(Product)
  }

  struct Pass: Sendable {
    var kernel: Kernel
    var loop: TensorLoop
    var inputs: [Place]
    var output: Place
    /// Of a pass over one row: elements between the rows of the output, and of each input.
    var rowStrides: [Int]?
  }

  var passes: [Pass]

  /// - Parameter rows: of the output; only passes over rows take less than all.
  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    for picture in pictures {
      for pass in passes {
        if let strides = pass.rowStrides {
          for row in rows { unsafe pass.run(context, picture: picture, shifts: strides.map { $0 * row }) }
        } else {
          unsafe pass.run(context, picture: picture, shifts: nil)
        }
      }
    }
  }
}

/// `@unchecked Sendable`: numbers alone.
struct TensorLoop: @unchecked Sendable {
  var loop: imsim_tensor_loop

  /// - Parameter strides: of the output, then of the inputs, in elements.
  init(shape: [Int], strides: [[Int]]) {
    let axes = shape.indices.filter { shape[$0] > 1 }
    precondition(axes.count <= IMSIM_TENSOR_RANK, "a tensor has at most \(IMSIM_TENSOR_RANK) axes")
    loop = imsim_tensor_loop()
    loop.rank = Int32(axes.count)
    unsafe withUnsafeMutableBytes(of: &loop.shape) { bytes in
      let sizes = unsafe bytes.bindMemory(to: Int.self)
      for (place, axis) in axes.enumerated() { unsafe sizes[place] = shape[axis] }
    }
    unsafe withUnsafeMutableBytes(of: &loop.strides) { bytes in
      let all = unsafe bytes.bindMemory(to: Int.self)
      for (operand, strides) in strides.enumerated() {
        for (place, axis) in axes.enumerated() {
          unsafe all[operand * Int(IMSIM_TENSOR_RANK) + place] = strides[axis]
        }
      }
    }
    unsafe imsim_tensor_coalesce(&loop)
  }
}

extension TensorStep.Pass {
  /// - Parameter shifts: Elements between the start of the output, and of each input, and where this pass begins.
  @unsafe fileprivate func run(_ context: StepContext, picture: Int, shifts: [Int]?) {
    let out = unsafe context.tensor(output, picture: picture) + (shifts?[0] ?? 0)
    func input(_ index: Int) -> UnsafeMutablePointer<Float> {
      unsafe context.tensor(inputs[index], picture: picture) + (shifts?[index + 1] ?? 0)
    }
    var loop = loop.loop
    switch kernel {
    case .fill(let value):
      unsafe imsim_tensor_fill(&loop, value, out)
    case .copy:
      unsafe imsim_tensor_copy(&loop, input(0), out)
    case .unary(let function, let alpha, let beta):
      unsafe imsim_tensor_unary(function, alpha, beta, &loop, input(0), out)
    case .binary(let function):
      unsafe imsim_tensor_binary(function, &loop, input(0), input(1), out)
    case .reduce(let function, let over):
      var inner = over.loop
      unsafe imsim_tensor_reduce(function, &loop, &inner, input(0), out)
    case .softmax(let log, let axis):
      unsafe imsim_tensor_softmax(log ? 1 : 0, &loop, axis.count, axis.inStride, axis.outStride, input(0), out)
    case .layerNormalization(let epsilon, let axis, let hasScale, let hasBias):
      let scale = unsafe hasScale ? UnsafePointer(input(1)) : nil
      let bias = unsafe hasBias ? UnsafePointer(input(hasScale ? 2 : 1)) : nil
      unsafe imsim_tensor_layer_norm(
        &loop, axis.count, axis.inStride, axis.outStride, epsilon, scale, bias, input(0), out)
    case .resample(let axis, let taps, let indices, let weights):
      unsafe imsim_tensor_resample(
        &loop, axis.count, axis.inStride, axis.outStride, Int32(taps),
        (context.constants + indices).assumingMemoryBound(to: Int32.self), context.floats(weights), input(0), out)
    case .pool(var window):
      unsafe imsim_tensor_pool(&loop, &window, input(0), out)
    case .localResponseNormalization(let axis, let size, let alpha, let beta, let bias):
      unsafe imsim_tensor_lrn(
        &loop, axis.count, axis.inStride, axis.outStride, Int32(size), alpha, beta, bias, input(0), out)
    case .product(let product):
      unsafe product.run(context, left: input(0), right: input(1), out: out)
    }
  }
}

extension TensorStep.Product {
  @unsafe fileprivate func run(
    _ context: StepContext, left: UnsafeMutablePointer<Float>, right: UnsafeMutablePointer<Float>,
    out: UnsafeMutablePointer<Float>
  ) {
    let panels = unsafe context.arena + packed
    var layer = unsafe imsim_convolution(
      columns: Int32(m), filters: Int32(n), in_pixel: leftRow, in_row: 0, in_image: 0, out_pixel: outRow, out_row: 0,
      out_image: 0, residual_pixel: 0, residual_row: 0, residual_image: 0, taps: context.offsets(taps), tap_count: 1,
      run: Int32(k), weights: UnsafeRawPointer(panels), bias: context.floats(zeros), scale: nil, residual_scale: 1,
      low: -.infinity, high: .infinity)
    let multiply = unsafe context.kernels.convolution.kernel(.fp32)
    for (leftStart, rightStart, outStart) in starts {
      unsafe imsim_tensor_pack_matrix(lanes, right + rightStart, rightRow, rightColumn, k, n, panels)
      unsafe multiply(&layer, left + leftStart, nil, out + outStart, 0, 1, 1)
    }
  }
}

extension StepContext {
  @unsafe fileprivate func tensor(_ place: TensorStep.Place, picture: Int) -> UnsafeMutablePointer<Float> {
    switch place {
    case .arena(let slot, let element):
      unsafe pixel(slot, picture: picture).assumingMemoryBound(to: Float.self) + element
    case .constant(let offset):
      unsafe (constants + offset).assumingMemoryBound(to: Float.self)
    }
  }
}
