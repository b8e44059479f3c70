internal import CSimilarityKernels
internal import ImageSimilarityCore

/// A worker's memory for one ``NetworkPlan``.
public final class NetworkWorkspace {
  let arena: AlignedFloats

  init(plan: NetworkPlan) {
    arena = AlignedFloats(count: plan.arenaCount)
  }
}

// The one door to raw memory: offsets into the arena and the constants, which preparation laid out and checked.
extension NetworkPlan {
  /// Computes one picture's embedding.
  ///
  /// Pictures run one at a time, each through the same products: an embedding does not depend on its batch.
  func run(
    pixels: Span<UInt8>, workspace: NetworkWorkspace, embedding: inout MutableSpan<Float>
  ) {
    precondition(pixels.count == inputSize.area * 3, "the picture is \(inputSize), 3 channels")
    precondition(embedding.count == dimension, "the embedding has \(dimension) elements")
    precondition(workspace.arena.count == arenaCount, "the workspace belongs to another plan")
    let kernels = unsafe imsim_layer_kernels_current().pointee
    let arena = unsafe workspace.arena.start
    let constants = unsafe constants.memory.start

    let (scale, shift) = preprocessing.scaleAndShift
    unsafe pixels.withUnsafeBufferPointer { rgb in
      guard let rgb = rgb.baseAddress else { return }
      unsafe kernels.normalize_rgb(
        rgb, arena + input.offset, inputSize.area, scale, shift, preprocessing.isBGR ? 1 : 0)
    }
    for step in steps {
      switch step {
      case .convolution(let layer):
        unsafe run(layer, kernels, arena, constants)
      case .depthwise(let layer):
        var window = layer.window.kernelWindow(layer.input, layer.output)
        unsafe kernels.depthwise(
          &window, arena + layer.input.offset, constants + layer.weights, constants + layer.bias, layer.activation,
          arena + layer.output.offset)
      case .maxPool(let planWindow, let input, let output):
        var window = planWindow.kernelWindow(input, output)
        unsafe kernels.max_pool(&window, arena + input.offset, arena + output.offset)
      case .globalAveragePool(let pixels, let channels, let input, let output):
        unsafe kernels.global_average_pool(
          arena + input.offset, input.pixelStride, pixels, channels, arena + output.offset)
      case .linear(let layer):
        let y = unsafe arena + layer.output.offset
        unsafe BLAS.multiply(
          m: layer.features, n: layer.channels, a: constants + layer.weights, x: arena + layer.input.offset, y: y)
        unsafe kernels.bias_activation(
          y, layer.features, 1, layer.features, constants + layer.bias, nil, 0, IMSIM_ACTIVATION_NONE)
      }
    }
    for i in 0..<dimension { unsafe embedding[i] = arena[output.offset + i] }
  }

  private func run(
    _ layer: Convolution, _ kernels: imsim_layer_kernels, _ arena: UnsafeMutablePointer<Float>,
    _ constants: UnsafeMutablePointer<Float>
  ) {
    var window = layer.window.kernelWindow(layer.input, layer.output)
    let depth = layer.window.kernel * layer.window.kernel * layer.window.channels
    let input = unsafe arena + layer.input.offset
    let rows = layer.rowsPerProduct > 0 ? layer.rowsPerProduct : layer.window.outHeight
    for firstRow in stride(from: 0, to: layer.window.outHeight, by: rows) {
      let lastRow = min(firstRow + rows, layer.window.outHeight)
      let pixels = (lastRow - firstRow) * layer.window.outWidth
      let firstPixel = firstRow * layer.window.outWidth
      let output = unsafe arena + layer.output.offset + firstPixel * layer.output.pixelStride

      var matrix = unsafe UnsafePointer(input)
      var matrixStride = layer.input.pixelStride
      if layer.rowsPerProduct > 0 {
        let columns = unsafe arena + columnsOffset
        unsafe kernels.im2col(&window, input, Int32(firstRow), Int32(lastRow), columns)
        unsafe matrix = UnsafePointer(columns)
        matrixStride = depth
      }
      unsafe BLAS.multiply(
        m: pixels, n: layer.filters, k: depth, a: matrix, aStride: matrixStride, b: constants + layer.weights,
        bStride: layer.filters, c: output, cStride: layer.output.pixelStride)
      let residual = unsafe layer.residual.map { slot in
        unsafe UnsafePointer(arena + slot.offset + firstPixel * slot.pixelStride)
      }
      unsafe kernels.bias_activation(
        output, layer.output.pixelStride, pixels, layer.filters, constants + layer.bias, residual,
        layer.residual?.pixelStride ?? 0, layer.activation)
    }
  }
}
