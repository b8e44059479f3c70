internal import CSimilarityKernels

/// A tensor somewhere in a file: an element's place is `byteRange.lowerBound` plus the sum of `index * stride` over the
/// dimensions, times the size of an element.
struct WeightTensor: Sendable {
  let name: String
  let elementType: SafetensorsFile.ElementType
  let shape: [Int]
  /// In elements; nil where the elements lie row-major without gaps.
  let strides: [Int]?
  /// From the first element to the last one.
  let byteRange: Range<Int>
  let elementCount: Int

  init(_ tensor: SafetensorsFile.Tensor) {
    name = tensor.name
    elementType = tensor.elementType
    shape = tensor.shape
    strides = nil
    byteRange = tensor.byteRange
    elementCount = tensor.elementCount
  }

  /// A view of a storage, checked: all elements lie within it, and there are no more of them than it has.
  init(
    name: String, storage: PyTorchStorage, offset: Int, shape: [Int], strides: [Int]
  ) throws(FormatFailure) {
    let size = storage.elementSize
    let available = storage.byteRange.count / size
    guard shape.count == strides.count, shape.count <= sim_gather_maximum_rank, offset >= 0,
      (shape + strides).allSatisfy({ $0 >= 0 }),
      let count = ImageSimilarityFiles.elementCount(ofShape: shape), count <= available,
      let span = Self.span(shape, strides), span <= available, offset <= available - span
    else {
      throw FormatFailure(
        "tensor \(quoted(name)) of shape \(shape.prefix(8)), strides \(strides.prefix(8)) and offset \(offset) does not fit "
          + "into its storage of \(available) elements")
    }
    self.name = name
    elementType = storage.elementType
    self.shape = shape
    // The stride of a dimension of size 1 means nothing, and may be any number.
    self.strides = Self.isRowMajor(shape, strides) ? nil : zip(shape, strides).map { $0 == 1 ? 0 : $1 }
    let start = storage.byteRange.lowerBound + offset * size
    byteRange = start..<start + span * size
    elementCount = count
  }

  /// The elements as single precision, row-major; nil where they are no floating-point numbers.
  func floats(in file: MappedFile) -> [Float]? {
    guard let type = FloatType(elementType) else { return nil }
    let source = unsafe UnsafeRawBufferPointer(rebasing: file.bytes[byteRange])
    guard let strides else { return unsafe type.floats(source, count: elementCount) }
    let gathered = unsafe gather(source, strides, size: type.byteCount)
    return unsafe gathered.withUnsafeBytes { unsafe type.floats($0, count: elementCount) }
  }

  /// The elements' bytes in row-major order.
  private func gather(_ source: UnsafeRawBufferPointer, _ strides: [Int], size: Int) -> [UInt8] {
    unsafe Array(unsafeUninitializedCapacity: elementCount * size) { target, initialized in
      unsafe sim_gather(source.baseAddress, target.baseAddress, size, shape.count, shape, strides)
      initialized = elementCount * size
    }
  }

  /// The number of elements from the first to the last, both included, or nil where an `Int` does not hold it.
  private static func span(_ shape: [Int], _ strides: [Int]) -> Int? {
    if shape.contains(0) { return 0 }
    var last = 0
    for (size, stride) in zip(shape, strides) {
      let (step, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, sumOverflow) = last.addingReportingOverflow(step)
      if overflow || sumOverflow || sum == .max { return nil }
      last = sum
    }
    return last + 1
  }

  private static func isRowMajor(_ shape: [Int], _ strides: [Int]) -> Bool {
    if shape.contains(0) { return true }
    var expected = 1
    for (size, stride) in zip(shape, strides).reversed() where size > 1 {
      if stride != expected { return false }
      expected *= size
    }
    return true
  }
}
