package import ImageSimilarityCore
package import ImageSimilarityFiles

/// Tensors by name: what a network's layers read their weights from.
package protocol WeightSource: Sendable {
  /// For messages.
  var name: String { get }
  /// SHA-256 of all that the tensors come from, in lower-case hexadecimal digits.
  var digest: String { get }
  /// The tensors that a network has to have a use for.
  var names: [String] { get }

  /// The shape of a tensor, empty for a single number; nil where there is no tensor of that name.
  func shape(of name: String) -> [Int]?
  /// The elements of a tensor, row-major.
  func floats(_ name: String) throws(SimilarityError) -> [Float]
}

extension WeightsFile: WeightSource {
  package var name: String { file.name }
}
