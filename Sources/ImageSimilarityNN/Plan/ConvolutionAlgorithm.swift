internal import CSimilarityKernels

/// How a dense convolution is computed.
enum ConvolutionAlgorithm: Sendable, Hashable {
  /// One product over the windows where they lie in the input.
  case direct
  /// F(4x4, 3x3): a quarter of the multiplications, and transforms before and after; see ``WinogradStep``.
  case winograd

  /// Fused multiply-adds that take as long as the transforms of a tile's channel: measured on maps from 7x7x512 to 56x56x64.
  private static let transform = 250
  /// Fused multiply-adds that take as long as a byte of weights from memory, which a group of pictures shares.
  private static let weightByte = 2.4

  /// The algorithm that takes less time by this count, on the same input whatever the batch: both give the same numbers but for
  /// rounding, so a plan must not change its choice.
  static func fastest(
    _ node: NetworkBuilder.Node, window: NetworkBuilder.Window, element: Element
  ) -> ConvolutionAlgorithm {
    let (input, output) = (node.inputs[0], node.output)
    guard let (kernel, stride) = window.square, kernel == 3, stride == 1, window.padTop == 1, window.padLeft == 1,
      output.height == input.height, output.width == input.width, element != .u8
    else { return .direct }

    let products = input.channels * output.channels
    let hasBF16 = unsafe Kernels.current.convolution.has_bf16 != 0
    // bf16 multiplies twice as fast where the processor does; where it does not, widening takes longer than that.
    let speed = element == .bf16 ? (hasBF16 ? 2 : 0.5) : 1
    let direct =
      Double(output.height * output.width * 9 * products) / speed + Double(9 * products * element.size) * weightByte
    let side = WinogradStep.tileOutputs
    let tiles = ((output.height + side - 1) / side) * ((output.width + side - 1) / side)
    let positions = WinogradStep.positions
    let winograd =
      Double(tiles * (positions * products + transform * (input.channels + output.channels)))
      + Double(positions * products * MemoryLayout<Float>.stride) * weightByte
    return winograd < direct ? .winograd : .direct
  }
}
