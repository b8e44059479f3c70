import CKernels

/// A window that slides over the channels of square images, each channel by itself.
struct SpatialShape {
  /// Of the output, along each axis.
  var size: Int
  var channels: Int
  var kernel: Int
  var stride: Int

  var name: String { "\(kernel)x\(kernel) stride \(stride), \(channels) channels, \(size)x\(size)" }

  static let efficientNetLite0 = [
    SpatialShape(size: 112, channels: 32, kernel: 3, stride: 1),
    SpatialShape(size: 56, channels: 96, kernel: 3, stride: 2),
    SpatialShape(size: 56, channels: 144, kernel: 3, stride: 1),
    SpatialShape(size: 28, channels: 144, kernel: 5, stride: 2),
    SpatialShape(size: 14, channels: 480, kernel: 5, stride: 1),
    SpatialShape(size: 7, channels: 1152, kernel: 5, stride: 1),
  ]
  static let pools = [
    SpatialShape(size: 56, channels: 64, kernel: 3, stride: 2),
    SpatialShape(size: 28, channels: 256, kernel: 3, stride: 2),
  ]

  private var pad: Int { kernel / 2 }

  func input(_ element: Element) -> Tensor {
    Tensor(element, height: size * stride, width: size * stride, channels: channels, border: pad)
  }

  func output(_ element: Element) -> Tensor { Tensor(element, height: size, width: size, channels: channels) }

  func window(_ input: Tensor, _ output: Tensor) -> imsim_spatial_window {
    imsim_spatial_window(
      channels: Int32(channels), in_pixel: input.pixel, in_row: input.row, out_pixel: output.pixel, out_row: output.row,
      in_height: Int32(input.height), in_width: Int32(input.width), out_height: Int32(size), out_width: Int32(size),
      kernel: Int32(kernel), stride: Int32(stride), pad_top: Int32(pad), pad_left: Int32(pad))
  }
}

func measureDepthwise(_ shape: SpatialShape, _ element: Element) {
  let work = Work.operations(2 * shape.size * shape.size * shape.channels * shape.kernel * shape.kernel)
  measure("depthwise \(element.rawValue) \(shape.name)", work) {
    let (input, output) = (shape.input(element), shape.output(element))
    let weights = depthwiseWeights(shape, element)
    let (bias, scale) = (Memory.floats(shape.channels), Memory.floats(shape.channels))
    for i in 0..<shape.channels { scale.pointer(to: Float.self)[i] = 1.0 / 1024 }
    return {
      var layer = imsim_spatial_depthwise(
        window: shape.window(input, output), weights: UnsafeRawPointer(weights.start),
        bias: bias.pointer(to: Float.self), scale: scale.pointer(to: Float.self), low: 0,
        high: element == .u8 ? 255 : 6)
      let rows = Int32(shape.size)
      switch element {
      case .fp32:
        Kernels.spatial.depthwise_f32(
          &layer, input.pointer(to: Float.self), output.pointer(to: Float.self), 0, rows)
      case .bf16:
        Kernels.spatial.depthwise_bf16(
          &layer, input.pointer(to: UInt16.self), output.pointer(to: UInt16.self), 0, rows)
      case .u8:
        Kernels.spatial.depthwise_u8(
          &layer, input.pointer(to: UInt8.self), output.pointer(to: UInt8.self), 0, rows)
      }
    }
  }
}

private func depthwiseWeights(_ shape: SpatialShape, _ element: Element) -> Memory {
  let (kernel, channels) = (Int32(shape.kernel), Int32(shape.channels))
  let count = shape.kernel * shape.kernel * shape.channels
  let packed: Memory
  switch element {
  case .fp32:
    packed = .floats(imsim_spatial_depthwise_size_f32(kernel, channels))
    imsim_spatial_pack_depthwise_f32(
      Memory.floats(count).pointer(to: Float.self), kernel, channels, packed.pointer(to: Float.self))
  case .bf16:
    packed = .floats(imsim_spatial_depthwise_size_bf16(kernel, channels))
    imsim_spatial_pack_depthwise_bf16(
      Memory.floats(count).pointer(to: Float.self), kernel, channels, packed.pointer(to: Float.self))
  case .u8:
    packed = .bytes(imsim_spatial_depthwise_size_u8(kernel, channels))
    imsim_spatial_pack_depthwise_u8(
      Memory.bytes(count).pointer(to: Int8.self), kernel, channels, packed.pointer(to: Int8.self))
  }
  return packed
}

func measureMaxPool(_ shape: SpatialShape, _ element: Element) {
  let read = shape.size * shape.stride * shape.size * shape.stride * shape.channels
  let written = shape.size * shape.size * shape.channels
  measure("max pool \(element.rawValue) \(shape.name)", .bytes((read + written) * element.size)) {
    let (input, output) = (shape.input(element), shape.output(element))
    return {
      var window = shape.window(input, output)
      let rows = Int32(shape.size)
      switch element {
      case .fp32:
        Kernels.spatial.max_pool_f32(
          &window, input.pointer(to: Float.self), output.pointer(to: Float.self), 0, rows)
      case .bf16:
        Kernels.spatial.max_pool_bf16(
          &window, input.pointer(to: UInt16.self), output.pointer(to: UInt16.self), 0, rows)
      case .u8:
        Kernels.spatial.max_pool_u8(
          &window, input.pointer(to: UInt8.self), output.pointer(to: UInt8.self), 0, rows)
      }
    }
  }
}

func measureGlobalAverage(size: Int, channels: Int, _ element: Element) {
  let bytes = size * size * channels * element.size
  measure("global average \(element.rawValue) \(channels) channels, \(size)x\(size)", .bytes(bytes)) {
    let input = Tensor(element, height: size, width: size, channels: channels)
    let output = Memory.floats(channels)
    return {
      let (side, channels, means) = (Int32(size), Int32(channels), output.pointer(to: Float.self))
      switch element {
      case .fp32:
        Kernels.spatial.global_average_f32(
          input.pointer(to: Float.self), input.pixel, input.row, side, side, channels, means)
      case .bf16:
        Kernels.spatial.global_average_bf16(
          input.pointer(to: UInt16.self), input.pixel, input.row, side, side, channels, means)
      case .u8:
        Kernels.spatial.global_average_u8(
          input.pointer(to: UInt8.self), input.pixel, input.row, side, side, channels, 0, 1, means)
      }
    }
  }
}

/// From the bytes of a picture to what the first layer reads.
func measureInput(size: Int, _ element: Element) {
  let channels = element == .fp32 ? 3 : 4
  let bytes = size * size * (3 + channels * element.size)
  measure("network input \(element.rawValue) \(size)x\(size)", .bytes(bytes)) {
    let rgb = Memory.bytes(size * size * 3)
    let output = Tensor(element, height: size, width: size, channels: channels, border: 1)
    let (scale, shift) = ([Float](repeating: 1 / 128, count: 3), [Float](repeating: -1, count: 3))
    return {
      let (pixels, side) = (rgb.pointer(to: UInt8.self), Int32(size))
      switch element {
      case .fp32:
        Kernels.spatial.input_f32(
          pixels, side, output.pointer(to: Float.self), output.row, scale, shift, 0, 0, side)
      case .bf16:
        Kernels.spatial.input_bf16(
          pixels, side, output.pointer(to: UInt16.self), output.row, scale, shift, 0, 0, side)
      case .u8:
        Kernels.spatial.input_u8(pixels, side, output.pointer(to: UInt8.self), output.row, 0, 0, side)
      }
    }
  }
}
