package import ImageSimilarityCore
import ImageSimilarityFiles

/// A constant: a shape and its elements, row-major.
///
/// The elements stay where they were read, in their own type, until they are asked for.
package struct ONNXTensor: Sendable {
  /// Empty for a single number.
  package let shape: [Int]
  package let elementType: ONNXElementType
  /// Product of the shape.
  package let elementCount: Int
  private let elements: ONNXElements

  /// - Precondition: `elements` has as many of them as `shape`, which has no negative number.
  init(shape: [Int], elementType: ONNXElementType, elements: ONNXElements) {
    guard let count = ImageSimilarityFiles.elementCount(ofShape: shape), count == elements.count(elementType) else {
      preconditionFailure("a tensor of shape \(shape) has as many elements as its shape says")
    }
    self.shape = shape
    self.elementType = elementType
    self.elements = elements
    elementCount = count
  }

  /// - Precondition: `floats` has as many elements as `shape`; `elementType` is a floating-point type, whose values they are.
  package init(shape: [Int], floats: [Float], elementType: ONNXElementType = .float) {
    precondition(elementType.isFloatingPoint, "floats are of a floating-point type")
    self.init(shape: shape, elementType: elementType, elements: .floats(floats))
  }

  /// - Precondition: `integers` has as many elements as `shape`; `elementType` is an integer type or bool, whose values they
  ///   are.
  package init(shape: [Int], integers: [Int64], elementType: ONNXElementType = .int64) {
    precondition(elementType.isInteger, "integers are of an integer type")
    self.init(shape: shape, elementType: elementType, elements: .integers(integers))
  }

  /// The elements of a tensor of floating-point or integer type as single precision, rounded where they need to be.
  ///
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where they are no numbers.
  /// - Complexity: O(``elementCount``)
  package func floats() throws(SimilarityError) -> [Float] {
    guard let floats = elements.floats(elementType) else { throw mismatch("numbers") }
    return floats
  }

  /// The elements of a tensor of integer or bool type (false is 0, true is 1).
  ///
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where they are something else, or larger than an `Int64` holds.
  /// - Complexity: O(``elementCount``)
  package func integers() throws(SimilarityError) -> [Int64] {
    guard let integers = elements.integers(elementType) else { throw mismatch("integers of up to 63 bits") }
    return integers
  }

  /// The same elements under another shape.
  ///
  /// - Precondition: `shape` has as many elements.
  package func reshaped(to shape: [Int]) -> ONNXTensor {
    ONNXTensor(shape: shape, elementType: elementType, elements: elements)
  }

  private func mismatch(_ expected: String) -> SimilarityError {
    SimilarityError(.weightsMismatch, "expected \(expected); found a tensor of type \(elementType) and shape \(shape)")
  }
}
