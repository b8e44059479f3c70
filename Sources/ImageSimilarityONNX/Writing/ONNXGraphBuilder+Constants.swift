import CSimilarityKernels
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN

extension ONNXGraphBuilder.Constant {
  /// Appends ``encodedCount`` bytes: fields of the graph's message.
  ///
  /// Throws what reading the weights throws; ``SimilarityError/Code/invalidArgument`` where they are too large for fp16.
  func write(of network: FoldedNetwork, to file: inout AtomicFile) throws(SimilarityError) {
    switch self {
    case .floats(let header, let values):
      try header.write(values.span, to: &file)
    case .integers(let header, let values):
      try header.write(values.span, to: &file)
    case .matrix(let header, let matrix):
      try matrix.withElements { elements throws(SimilarityError) in try header.write(elements, to: &file) }
    case .layer(let index, let weights, let bias):
      guard let values = try network.weights(at: index) else { preconditionFailure("\(weights.name) has elements") }
      if weights.type == .float16 {
        let halves = try weights.halves(values.values)
        try weights.write(halves.span, to: &file)
      } else {
        try weights.write(values.values.span, to: &file)
      }
      try bias.write(values.bias.span, to: &file)
    }
  }
}

extension ONNXTensorHeader {
  fileprivate func write<T: BitwiseCopyable>(
    _ elements: Span<T>, to file: inout AtomicFile
  ) throws(SimilarityError) {
    precondition(elements.count * MemoryLayout<T>.stride == byteCount, "\(name) has as many elements as its shape says")
    try unsafe file.append(encoded.span.bytes)
    try unsafe file.append(elements.bytes)
  }

  /// The bits of fp16 numbers.
  fileprivate func halves(_ values: [Float]) throws(SimilarityError) -> [UInt16] {
    let halves = unsafe [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      unsafe sim_narrow_f16(values, base, values.count)
      count = values.count
    }
    if let index = halves.firstIndex(where: { $0 & 0x7c00 == 0x7c00 }) {
      throw SimilarityError(
        .invalidArgument,
        "element \(index) of '\(name)' is \(values[index]), and float16 reaches to 65504: write it as float32")
    }
    return halves
  }
}
