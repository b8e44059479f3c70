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
    precondition(pixels.count == count * inputSize.area * 3, "the pictures are \(inputSize), 3 channels")
    precondition(embeddings.count == count * dimension, "an embedding has \(dimension) elements")
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
        for picture in pictures {
          let vector = unsafe context.pixel(output, picture: picture).assumingMemoryBound(to: Float.self)
          for i in 0..<dimension { unsafe embeddings[picture * dimension + i] = vector[i] }
        }
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
