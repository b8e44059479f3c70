import CKernels

/// One of ResNet-50's 3x3 layers by F(4x4, 3x3).
struct WinogradShape {
  private static let outputs = 4
  private static let positions = (outputs + 2) * (outputs + 2)

  var size: Int
  var channels: Int

  static let resnet50 = [
    WinogradShape(size: 56, channels: 64), WinogradShape(size: 28, channels: 128),
    WinogradShape(size: 14, channels: 256), WinogradShape(size: 7, channels: 512),
  ]

  private var tilesPerAxis: Int { (size + Self.outputs - 1) / Self.outputs }
  private var tiles: Int { tilesPerAxis * tilesPerAxis }
  private var name: String { "\(channels) channels, \(size)x\(size)" }
  private var stride: Int { imsim_winograd_position_stride(tiles * channels) }
  private var work: Work {
    .bytes((size * size + Self.positions * tiles) * channels * MemoryLayout<Float>.stride)
  }

  private func image(_ tensor: Tensor) -> imsim_winograd_image {
    imsim_winograd_image(
      outputs: Int32(Self.outputs), height: Int32(size), width: Int32(size), channels: Int32(channels), bf16: 0,
      pixel: tensor.pixel, row: tensor.row)
  }

  func measureInput() {
    measure("Winograd input fp32 \(name)", work) {
      let tensor = Tensor(.fp32, height: size, width: size, channels: channels, border: 1)
      let transformed = Memory.floats(Self.positions * stride)
      return {
        var image = image(tensor)
        Kernels.winograd.input(
          &image, tensor.start(), 0, Int32(tiles), transformed.pointer(to: Float.self), stride, channels)
      }
    }
  }

  func measureOutput() {
    measure("Winograd output fp32 \(name)", work) {
      let tensor = Tensor(.fp32, height: size, width: size, channels: channels, border: 1)
      let (products, bias) = (Memory.floats(Self.positions * stride), Memory.floats(channels))
      return {
        var image = image(tensor)
        Kernels.winograd.output(
          &image, products.pointer(to: Float.self), stride, channels, 0, Int32(tiles), bias.pointer(to: Float.self),
          nil, 0, 0, 0, .infinity, tensor.start())
      }
    }
  }

  func measureWeights() {
    let bytes = (9 + Self.positions) * channels * channels * MemoryLayout<Float>.stride
    measure("Winograd weights \(channels)>\(channels)", .bytes(bytes)) {
      let weights = Memory.floats(9 * channels * channels)
      let factors = [Double](repeating: 1, count: channels)
      let panels = Memory.floats(Self.positions * channels * channels)
      return {
        for filter in Swift.stride(from: 0, to: channels, by: Int(IMSIM_WINOGRAD_PANEL)) {
          imsim_winograd_weights(
            Int32(Self.outputs), weights.pointer(to: Float.self), channels, channels, factors, filter,
            Int(IMSIM_WINOGRAD_PANEL),
            panels.pointer(to: Float.self, at: filter * channels), channels * channels)
        }
      }
    }
  }
}
