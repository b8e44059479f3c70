import CKernels
import COpenBLAS

/// A dense convolution of square images.
struct ConvolutionShape {
  /// Of the output, along each axis.
  var size: Int
  var channels: Int
  var filters: Int
  var kernel = 1
  var stride = 1
  var images = 1

  var name: String {
    "\(kernel)x\(kernel)\(stride > 1 ? " stride \(stride)" : "") \(channels)>\(filters), \(size)x\(size)"
      + (images > 1 ? ", \(images) images" : "")
  }

  var columns: Int { images * size * size }
  var taps: Int { kernel * kernel }
  var work: Work { .operations(2 * columns * taps * channels * filters) }

  /// The network's input, the bottleneck's layers of each stage, and the layers between stages.
  static let resnet50 = [
    ConvolutionShape(size: 112, channels: 3, filters: 64, kernel: 7, stride: 2),
    ConvolutionShape(size: 56, channels: 64, filters: 256),
    ConvolutionShape(size: 56, channels: 256, filters: 64),
    ConvolutionShape(size: 56, channels: 64, filters: 64, kernel: 3),
    ConvolutionShape(size: 28, channels: 128, filters: 128, kernel: 3, stride: 2),
    ConvolutionShape(size: 28, channels: 512, filters: 128),
    ConvolutionShape(size: 14, channels: 1024, filters: 256),
    ConvolutionShape(size: 14, channels: 256, filters: 256, kernel: 3),
    ConvolutionShape(size: 7, channels: 512, filters: 2048, images: 16),
    ConvolutionShape(size: 7, channels: 512, filters: 2048),
  ]

  static let efficientNetLite0 = [
    ConvolutionShape(size: 112, channels: 3, filters: 32, kernel: 3, stride: 2),
    ConvolutionShape(size: 112, channels: 16, filters: 96),
    ConvolutionShape(size: 56, channels: 96, filters: 24),
    ConvolutionShape(size: 28, channels: 40, filters: 240),
    ConvolutionShape(size: 14, channels: 480, filters: 80),
    ConvolutionShape(size: 7, channels: 320, filters: 1280, images: 16),
  ]
}

func measureConvolution(_ shape: ConvolutionShape, _ element: Element) {
  measure("convolution \(element.rawValue) \(shape.name)", shape.work) {
    let pad = shape.kernel / 2
    let input = Tensor(
      element, images: shape.images, height: shape.size * shape.stride, width: shape.size * shape.stride,
      channels: shape.channels, border: pad)
    let output = Tensor(
      element, images: shape.images, height: shape.size, width: shape.size, channels: shape.filters)
    let weights = PackedWeights(shape, element)
    let bias = Memory.floats(shape.filters + 64)
    // The taps of a row of the kernel are one run: pixels are neighbours in memory.
    let taps = (0..<shape.kernel).map { $0 * input.row }
    return {
      taps.withUnsafeBufferPointer { taps in
        var layer = imsim_convolution(
          columns: Int32(shape.size), filters: Int32(shape.filters), in_pixel: shape.stride * input.pixel,
          in_row: shape.stride * input.row, in_image: input.image, out_pixel: output.pixel, out_row: output.row,
          out_image: output.image, residual_pixel: 0, residual_row: 0, residual_image: 0, taps: taps.baseAddress!,
          tap_count: Int32(taps.count), run: Int32(shape.kernel * input.pixel / element.unit),
          weights: UnsafeRawPointer(weights.packed.start), bias: bias.pointer(to: Float.self),
          scale: weights.quantum.pointer(to: Float.self), residual_scale: 1, low: 0,
          high: element == .u8 ? 255 : .infinity)
        let corner = input.start(-pad * (input.row + input.pixel))
        let (rows, images) = (Int32(shape.size), Int32(shape.images))
        switch element {
        case .fp32: Kernels.convolution.convolve.0(&layer, corner, nil, output.start(), 0, rows, images)
        case .bf16: Kernels.convolution.convolve.1(&layer, corner, nil, output.start(), 0, rows, images)
        case .u8: Kernels.convolution.convolve.2(&layer, corner, nil, output.start(), 0, rows, images)
        }
      }
    }
  }
}

/// The same product by OpenBLAS, of a matrix that has all windows already: what a kernel must beat to exist.
func measureBase(_ shape: ConvolutionShape) {
  measure("convolution fp32 \(shape.name), OpenBLAS", shape.work) {
    let depth = shape.taps * shape.channels
    let (windows, weights) = (Memory.floats(shape.columns * depth), Memory.floats(depth * shape.filters))
    let output = Memory.floats(shape.columns * shape.filters)
    return {
      cblas_sgemm(
        CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(shape.columns), Int32(shape.filters), Int32(depth), 1,
        windows.pointer(to: Float.self), Int32(depth), weights.pointer(to: Float.self), Int32(shape.filters), 0,
        output.pointer(to: Float.self), Int32(shape.filters))
    }
  }
}

/// Weights between -1 and 1 in the kernels' panels.
struct PackedWeights {
  let packed: Memory
  /// What a step of each filter is worth, for u8.
  let quantum: Memory
  private let weights: Memory
  private let shape: ConvolutionShape
  private let element: Element

  init(_ shape: ConvolutionShape, _ element: Element) {
    self.shape = shape
    self.element = element
    let stored = (shape.channels + element.unit - 1) / element.unit * element.unit
    weights = .floats(shape.taps * shape.channels * shape.filters)
    quantum = .floats(shape.filters + 64)
    for i in 0..<shape.filters + 64 { quantum.pointer(to: Float.self)[i] = 1 / 127 }
    packed = .bytes(
      imsim_convolution_packed_size(element.kernel, Kernels.convolution.lanes, shape.taps, stored, shape.filters))
    pack()
  }

  func pack() {
    let stored = (shape.channels + element.unit - 1) / element.unit * element.unit
    imsim_convolution_pack(
      element.kernel, Kernels.convolution.lanes, weights.pointer(to: Float.self), shape.taps, shape.channels, stored,
      shape.filters, quantum.pointer(to: Float.self), packed.start)
  }
}

func measurePacking(_ shape: ConvolutionShape, _ element: Element) {
  let bytes = shape.taps * shape.channels * shape.filters * (MemoryLayout<Float>.stride + element.size)
  measure("pack weights \(element.rawValue) \(shape.name)", .bytes(bytes)) {
    let weights = PackedWeights(shape, element)
    return { weights.pack() }
  }
}
