internal import CSimilarityKernels

/// A worker's memory and the pictures that it works on, as a step sees them.
///
/// The one door to raw memory: offsets into the arena and the constants, which preparation laid out and checked.
@unsafe struct StepContext {
  var kernels: Kernels
  var arena: UnsafeMutableRawPointer
  var constants: UnsafeMutableRawPointer
  /// RGB bytes of all pictures of the batch, and of one.
  var pixels: UnsafePointer<UInt8>
  var pictureBytes: Int
  /// What a network takes instead of a picture.
  var arguments: [[Float]]
  /// The picture of the batch that lies first in each segment's slots.
  var bases: [Int]

  func pixel(_ slot: ArenaLayout.Slot, picture: Int, row: Int = 0) -> UnsafeMutableRawPointer {
    let start = unsafe slot.offset + (picture - bases[slot.segment]) * slot.picture
    return unsafe arena + (start + row * slot.row * slot.element.size)
  }

  func offsets(_ offset: Int) -> UnsafePointer<Int> {
    unsafe UnsafePointer((constants + offset).assumingMemoryBound(to: Int.self))
  }

  func floats(_ offset: Int) -> UnsafePointer<Float> {
    unsafe UnsafePointer((constants + offset).assumingMemoryBound(to: Float.self))
  }
}

/// The kernels of one instruction set.
///
/// `@unchecked Sendable`: the tables are constants of the program.
@safe struct Kernels: @unchecked Sendable {
  @unsafe let convolution: imsim_convolution_kernels
  let spatial: imsim_spatial_kernels
  let winograd: imsim_winograd_kernels

  /// Those of this processor.
  static let current = unsafe Kernels(
    convolution: imsim_convolution_kernels_current().pointee, spatial: imsim_spatial_kernels_current().pointee,
    winograd: imsim_winograd_kernels_current().pointee)
}

/// One layer, ready to run. Offsets of constants are in bytes.
enum Step: Sendable {
  case input(InputStep)
  case convolution(ConvolutionStep)
  case winograd(WinogradStep)
  case depthwise(DepthwiseStep)
  case maxPool(MaxPoolStep)
  case average(AverageStep)
  case tensor(TensorStep)
  case argument(ArgumentStep)
}

/// From RGB bytes to the network's input.
struct InputStep: Sendable {
  var width: Int
  var output: ArenaLayout.Slot
  var isReversed: Bool
  var scale: [Float]
  var shift: [Float]

  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    let spatial = unsafe context.kernels.spatial
    let swap: Int32 = isReversed ? 1 : 0
    let (width, first, last) = (Int32(width), Int32(rows.lowerBound), Int32(rows.upperBound))
    for picture in pictures {
      let rgb = unsafe context.pixels + picture * context.pictureBytes
      let out = unsafe context.pixel(output, picture: picture)
      switch output.element {
      case .fp32:
        unsafe spatial.input_f32(
          rgb, width, out.assumingMemoryBound(to: Float.self), output.row, scale, shift, swap, first, last)
      case .bf16:
        unsafe spatial.input_bf16(
          rgb, width, out.assumingMemoryBound(to: UInt16.self), output.row, scale, shift, swap, first, last)
      case .u8:
        unsafe spatial.input_u8(rgb, width, out.assumingMemoryBound(to: UInt8.self), output.row, swap, first, last)
      }
    }
  }
}

/// A dense convolution, or a linear layer, as a direct product.
struct ConvolutionStep: Sendable {
  var filters: Int
  var columns: Int
  var isVector: Bool
  var stride: NetworkBuilder.Extent
  var padTop: Int
  var padLeft: Int
  var input: ArenaLayout.Slot
  var output: ArenaLayout.Slot
  var residual: ArenaLayout.Slot?
  /// Constants: the offsets of the taps, the weights, the bias and the scale of each filter.
  var taps: Int
  var tapCount: Int
  var run: Int
  /// Each with its share of the channels and filters, which are those of one group.
  var groups: Int
  var groupChannels: Int
  var weights: Int
  /// Bytes of one group's weights, and of its bias or scale.
  var weightBytes: Int
  var bias: Int
  var scale: Int
  var vectorBytes: Int
  var clamp: Clamp
  var residualScale: Float

  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    let element = input.element
    let residualStart = unsafe residual.map { slot in
      unsafe UnsafeRawPointer(context.pixel(slot, picture: pictures.lowerBound))
    }
    var layer = unsafe imsim_convolution(
      columns: Int32(columns), filters: Int32(filters), in_pixel: stride.width * input.pixel,
      in_row: stride.height * input.row,
      in_image: input.picture / element.size, out_pixel: output.pixel, out_row: output.row,
      out_image: output.picture / element.size, residual_pixel: residual?.pixel ?? 0, residual_row: residual?.row ?? 0,
      residual_image: (residual?.picture ?? 0) / element.size, taps: context.offsets(taps), tap_count: Int32(tapCount),
      run: Int32(run), weights: context.constants, bias: context.floats(bias), scale: nil,
      residual_scale: residualScale, low: clamp.low, high: clamp.high)
    var images = Int32(pictures.count)
    if isVector {
      // The pictures' vectors are the columns of one product.
      unsafe layer.columns = images
      unsafe layer.in_pixel = layer.in_image
      unsafe layer.out_pixel = layer.out_image
      unsafe layer.residual_pixel = layer.residual_image
      images = 1
    }
    let corner = (padTop * input.row + padLeft * input.pixel) * element.size
    let convolve = unsafe context.kernels.convolution.kernel(element)
    let start = unsafe context.pixel(input, picture: pictures.lowerBound) - corner
    let out = unsafe context.pixel(output, picture: pictures.lowerBound)
    let (first, last) = (Int32(rows.lowerBound), Int32(rows.upperBound))
    for group in 0..<groups {
      unsafe layer.weights = UnsafeRawPointer(context.constants + weights + group * weightBytes)
      unsafe layer.bias = context.floats(bias + group * vectorBytes)
      unsafe layer.scale = context.floats(scale + group * vectorBytes)
      let shift = group * filters * element.size
      unsafe convolve(
        &layer, start + group * groupChannels * element.size, residualStart.map { unsafe $0 + shift }, out + shift,
        first, last, images)
    }
  }
}

extension imsim_convolution_kernels {
  @unsafe func kernel(_ element: Element) -> imsim_convolve {
    switch element {
    case .fp32: unsafe convolve.0
    case .bf16: unsafe convolve.1
    case .u8: unsafe convolve.2
    }
  }
}

/// What an activation function limits a layer's results to.
struct Clamp: Sendable, Hashable {
  var low: Float
  var high: Float
}

struct DepthwiseStep: Sendable {
  var window: NetworkPlan.Window
  var input: ArenaLayout.Slot
  var output: ArenaLayout.Slot
  var weights: Int
  var bias: Int
  var scale: Int
  var clamp: Clamp

  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    var layer = unsafe imsim_spatial_depthwise(
      window: window.kernelWindow(input, output), weights: UnsafeRawPointer(context.constants + weights),
      bias: context.floats(bias), scale: context.floats(scale), low: clamp.low, high: clamp.high)
    let spatial = unsafe context.kernels.spatial
    let (first, last) = (Int32(rows.lowerBound), Int32(rows.upperBound))
    for picture in pictures {
      let x = unsafe context.pixel(input, picture: picture)
      let y = unsafe context.pixel(output, picture: picture)
      switch input.element {
      case .fp32:
        unsafe spatial.depthwise_f32(
          &layer, x.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: Float.self), first, last)
      case .bf16:
        unsafe spatial.depthwise_bf16(
          &layer, x.assumingMemoryBound(to: UInt16.self), y.assumingMemoryBound(to: UInt16.self), first, last)
      case .u8:
        unsafe spatial.depthwise_u8(
          &layer, x.assumingMemoryBound(to: UInt8.self), y.assumingMemoryBound(to: UInt8.self), first, last)
      }
    }
  }
}

struct MaxPoolStep: Sendable {
  var window: NetworkPlan.Window
  var input: ArenaLayout.Slot
  var output: ArenaLayout.Slot

  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    var window = window.kernelWindow(input, output)
    let spatial = unsafe context.kernels.spatial
    let (first, last) = (Int32(rows.lowerBound), Int32(rows.upperBound))
    for picture in pictures {
      let x = unsafe context.pixel(input, picture: picture)
      let y = unsafe context.pixel(output, picture: picture)
      switch input.element {
      case .fp32:
        unsafe spatial.max_pool_f32(
          &window, x.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: Float.self), first, last)
      case .bf16:
        unsafe spatial.max_pool_bf16(
          &window, x.assumingMemoryBound(to: UInt16.self), y.assumingMemoryBound(to: UInt16.self), first, last)
      case .u8:
        unsafe spatial.max_pool_u8(
          &window, x.assumingMemoryBound(to: UInt8.self), y.assumingMemoryBound(to: UInt8.self), first, last)
      }
    }
  }
}

/// The mean over all pixels, in fp32.
struct AverageStep: Sendable {
  var height: Int
  var width: Int
  var channels: Int
  var input: ArenaLayout.Slot
  var output: ArenaLayout.Slot
  var quantization: Quantization?

  @unsafe func run(_ context: StepContext, pictures: Range<Int>) {
    let spatial = unsafe context.kernels.spatial
    let (height, width, channels) = (Int32(height), Int32(width), Int32(channels))
    for picture in pictures {
      let x = unsafe context.pixel(input, picture: picture)
      let y = unsafe context.pixel(output, picture: picture).assumingMemoryBound(to: Float.self)
      switch input.element {
      case .fp32:
        unsafe spatial.global_average_f32(
          x.assumingMemoryBound(to: Float.self), input.pixel, input.row, height, width, channels, y)
      case .bf16:
        unsafe spatial.global_average_bf16(
          x.assumingMemoryBound(to: UInt16.self), input.pixel, input.row, height, width, channels, y)
      case .u8:
        guard let quantization else { preconditionFailure("stored bytes have a meaning") }
        unsafe spatial.global_average_u8(
          x.assumingMemoryBound(to: UInt8.self), input.pixel, input.row, height, width, channels,
          Int32(quantization.zero), quantization.scale, y)
      }
    }
  }
}
