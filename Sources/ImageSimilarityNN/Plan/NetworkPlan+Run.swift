internal import CSimilarityKernels
internal import ImageSimilarityCore

/// A worker's memory for one ``NetworkPlan``.
public final class NetworkWorkspace {
  let arena: AlignedBytes

  init(plan: NetworkPlan) {
    arena = AlignedBytes(count: plan.arenaBytes)
  }
}

extension NetworkPlan {
  /// Called with the least and the greatest element of a layer's output, in parts.
  typealias Observer = (_ layer: String, _ low: Float, _ high: Float) -> Void

  /// Computes the embeddings of `count` pictures of `pixels`, `[count, height, width, 3]`.
  ///
  /// Each number is the same sum in the same order whatever the batch: an embedding does not depend on its neighbours.
  func run(
    pixels: Span<UInt8>, count: Int, workspace: NetworkWorkspace, embeddings: inout MutableSpan<Float>,
    observer: Observer? = nil
  ) {
    precondition(embeddings.count == count * dimension, "an embedding has \(dimension) elements")
    unsafe forEachPicture(pixels, count: count, workspace, observer) { context, picture in
      let vector = unsafe context.pixel(output, picture: picture).assumingMemoryBound(to: Float.self)
      for i in 0..<dimension { unsafe embeddings[picture * dimension + i] = vector[i] }
    }
  }

  /// Computes the convolutional maps that the embeddings are the means of, `[count, height, width, channels]`.
  ///
  /// - Precondition: The plan has a ``map``.
  func run(pixels: Span<UInt8>, count: Int, workspace: NetworkWorkspace, maps: inout MutableSpan<Float>) {
    guard let map else { preconditionFailure("the embedding is the mean of a map") }
    precondition(maps.count == count * map.count, "a map has \(map.count) elements")
    unsafe forEachPicture(pixels, count: count, workspace, nil) { context, picture in
      unsafe map.copy(context, picture: picture, to: &maps, at: picture * map.count)
    }
  }

  /// Runs the network, and calls `body` with each picture while its results are in the arena.
  @unsafe private func forEachPicture(
    _ pixels: Span<UInt8>, count: Int, _ workspace: NetworkWorkspace, _ observer: Observer?,
    _ body: (_ context: StepContext, _ picture: Int) -> Void
  ) {
    precondition(pixels.count == count * inputSize.area * 3, "the pictures are \(inputSize), 3 channels")
    precondition(workspace.arena.count == arenaBytes, "the workspace belongs to another plan")
    guard count > 0 else { return }
    unsafe pixels.withUnsafeBufferPointer { rgb in
      guard let rgb = rgb.baseAddress else { return }
      var context = unsafe StepContext(
        kernels: .current, arena: workspace.arena.start, constants: constants.memory.start, pixels: rgb,
        pictureBytes: inputSize.area * 3, arguments: [], bases: [Int](repeating: 0, count: segments.count))
      let group = segments[segments.count - 1].group
      for first in stride(from: 0, to: count, by: group) {
        let pictures = first..<min(first + group, count)
        unsafe run(segment: segments.count - 1, pictures: pictures, &context, observer)
        for picture in pictures { unsafe body(context, picture) }
      }
    }
  }

  /// The result of a network that takes numbers instead of a picture.
  func run(arguments: [[Float]]) -> [Float] {
    let workspace = NetworkWorkspace(plan: self)
    let picture = [UInt8](repeating: 0, count: inputSize.area * 3)
    return unsafe picture.withUnsafeBufferPointer { rgb in
      guard let rgb = rgb.baseAddress else { preconditionFailure("a picture has pixels") }
      var context = unsafe StepContext(
        kernels: .current, arena: workspace.arena.start, constants: constants.memory.start, pixels: rgb,
        pictureBytes: picture.count, arguments: arguments, bases: [Int](repeating: 0, count: segments.count))
      unsafe run(segment: segments.count - 1, pictures: 0..<1, &context, nil)
      let vector = unsafe context.pixel(output, picture: 0).assumingMemoryBound(to: Float.self)
      return (0..<dimension).map { unsafe vector[$0] }
    }
  }

  /// Runs a segment over a group of pictures, after the segments before it over their smaller groups.
  @unsafe private func run(
    segment index: Int, pictures: Range<Int>, _ context: inout StepContext, _ observer: Observer?
  ) {
    unsafe context.bases[index] = pictures.lowerBound
    if index > 0 {
      let group = segments[index - 1].group
      for first in stride(from: pictures.lowerBound, to: pictures.upperBound, by: group) {
        let part = first..<min(first + group, pictures.upperBound)
        unsafe run(segment: index - 1, pictures: part, &context, observer)
      }
    }
    for block in segments[index].blocks {
      if block.isPerPicture {
        for picture in pictures { unsafe run(block, pictures: picture..<picture + 1, context, observer) }
      } else {
        unsafe run(block, pictures: pictures, context, observer)
      }
    }
  }

  @unsafe private func run(
    _ block: Block, pictures: Range<Int>, _ context: StepContext, _ observer: Observer?
  ) {
    for border in block.borders {
      for picture in pictures { unsafe border.fill(context, picture: picture) }
    }
    for task in block.tasks {
      switch task.step {
      case .input(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .convolution(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .winograd(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .depthwise(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .maxPool(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .average(let step): unsafe step.run(context, pictures: pictures)
      case .tensor(let step): unsafe step.run(context, rows: task.rows, pictures: pictures)
      case .argument(let step): unsafe step.run(context, pictures: pictures)
      }
      if let observer, let observed = task.observed {
        for picture in pictures {
          let (low, high) = unsafe observed.range(context, rows: task.rows, picture: picture)
          observer(observed.layer, low, high)
        }
      }
    }
  }
}

extension NetworkPlan.BorderFill {
  @unsafe fileprivate func fill(_ context: StepContext, picture: Int) {
    // Strides count elements of the size that is filled.
    let ratio = elementSize / slot.element.size
    unsafe imsim_spatial_fill_border(
      context.pixel(slot, picture: picture), elementSize, value, slot.pixel / ratio, slot.row / ratio, Int32(height),
      Int32(width), Int32(channels), Int32(slot.border.top), Int32(slot.border.left), Int32(slot.border.bottom),
      Int32(slot.border.right))
  }
}

extension NetworkPlan.Observed {
  @unsafe fileprivate func range(_ context: StepContext, rows: Range<Int>, picture: Int) -> (Float, Float) {
    precondition(output.element == .fp32, "ranges are taken of fp32 activations")
    var (low, high) = (Float.infinity, -Float.infinity)
    unsafe context.kernels.spatial.range_f32(
      context.pixel(output, picture: picture, row: rows.lowerBound).assumingMemoryBound(to: Float.self), output.pixel,
      output.row, Int32(rows.count), Int32(width), Int32(channels), &low, &high)
    return (low, high)
  }
}

extension NetworkPlan.MapOutput {
  /// Writes a picture's map, `[height, width, channels]` without gaps, to `maps` from element `start` on.
  @unsafe fileprivate func copy(
    _ context: StepContext, picture: Int, to maps: inout MutableSpan<Float>, at start: Int
  ) {
    let first = unsafe context.pixel(slot, picture: picture)
    for y in 0..<height {
      for x in 0..<width {
        let (from, to) = (y * slot.row + x * slot.pixel, start + (y * width + x) * channels)
        switch slot.element {
        case .fp32:
          let values = unsafe first.assumingMemoryBound(to: Float.self) + from
          for i in 0..<channels { unsafe maps[to + i] = values[i] }
        case .bf16:
          let values = unsafe first.assumingMemoryBound(to: UInt16.self) + from
          for i in 0..<channels { maps[to + i] = unsafe Float(bitPattern: UInt32(values[i]) << 16) }
        case .u8:
          guard let quantization else { preconditionFailure("stored bytes have a meaning") }
          let values = unsafe first.assumingMemoryBound(to: UInt8.self) + from
          for i in 0..<channels {
            maps[to + i] = unsafe quantization.scale * Float(Int(values[i]) - quantization.zero)
          }
        }
      }
    }
  }
}
