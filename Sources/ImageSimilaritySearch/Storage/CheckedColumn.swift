import ImageSimilarityCore
import ImageSimilarityFiles

/// A tensor of a checked file: elements are checked when they are read.
struct CheckedColumn<Element: BitwiseCopyable & Sendable>: Sendable {
  let column: Column<Element>
  private let file: CheckedFile
  private let start: Int

  var count: Int { column.count }

  /// - Parameter count: how many elements there must be; any number where nil.
  init(
    _ name: String, _ type: SafetensorsFile.ElementType, count: Int? = nil, in tensors: SafetensorsFile,
    _ file: CheckedFile
  ) throws(SimilarityError) {
    guard let tensor = tensors[name], count == nil || tensor.elementCount == count else {
      throw SimilarityError(
        .modelCorrupt,
        "\(file.file.name) is damaged: expected the tensor \(name)" + (count.map { " of \($0) elements" } ?? "")
          + ", found \(tensors[name].map { "\($0.shape)" } ?? "none")")
    }
    column = unsafe Column(elements: try tensors.elements(tensor, type, as: Element.self), owner: tensors.file)
    self.file = file
    start = tensor.byteRange.lowerBound
  }

  subscript(index: Int) -> Element {
    get throws(SimilarityError) {
      try verify(index..<index + 1)
      return column[index]
    }
  }

  func verify(_ range: Range<Int>) throws(SimilarityError) {
    let stride = MemoryLayout<Element>.stride
    try file.verify(start + range.lowerBound * stride..<start + range.upperBound * stride)
  }

  func verify() throws(SimilarityError) { try verify(0..<count) }

  /// See ``ImageSimilarityFiles/MappedFile/release(_:)``.
  func release(_ range: Range<Int>) {
    let stride = MemoryLayout<Element>.stride
    file.file.release(start + range.lowerBound * stride..<start + range.upperBound * stride)
  }
}
