internal import ImageSimilarityCore

/// A node as the rule for its operator reads it: attributes of the right type, or an error that names them.
struct OperatorNode: Sendable {
  let node: ONNXNode
  let opset: Int

  /// Whether input `index` is given.
  func has(_ index: Int) -> Bool { index < node.inputs.count && !node.inputs[index].isEmpty }

  /// The name of the first output, which is unique in the graph.
  var name: String { node.outputs.first { !$0.isEmpty } ?? node.name }

  // MARK: Attributes

  func has(attribute name: String) -> Bool { node.attributes[name] != nil }

  func integer(_ name: String) throws(SimilarityError) -> Int? {
    guard let attribute = node.attributes[name] else { return nil }
    guard case .int(let value) = attribute else { throw mismatch(name, "an integer") }
    return Int(value)
  }

  func integer(_ name: String, default value: Int) throws(SimilarityError) -> Int { try integer(name) ?? value }

  func flag(_ name: String, default value: Bool = false) throws(SimilarityError) -> Bool {
    try integer(name, default: value ? 1 : 0) != 0
  }

  func integers(_ name: String) throws(SimilarityError) -> [Int]? {
    guard let attribute = node.attributes[name] else { return nil }
    guard case .ints(let values) = attribute else { throw mismatch(name, "integers") }
    return values.map(Int.init)
  }

  func float(_ name: String, default value: Float) throws(SimilarityError) -> Float {
    try float(name) ?? value
  }

  func float(_ name: String) throws(SimilarityError) -> Float? {
    guard let attribute = node.attributes[name] else { return nil }
    guard case .float(let value) = attribute else { throw mismatch(name, "a number") }
    return value
  }

  func floats(_ name: String) throws(SimilarityError) -> [Float]? {
    guard let attribute = node.attributes[name] else { return nil }
    guard case .floats(let values) = attribute else { throw mismatch(name, "numbers") }
    return values
  }

  func string(_ name: String, default value: String) throws(SimilarityError) -> String {
    guard let attribute = node.attributes[name] else { return value }
    guard case .string(let value) = attribute else { throw mismatch(name, "a string") }
    return value
  }

  private func mismatch(_ name: String, _ expected: String) -> SimilarityError {
    malformed("its attribute '\(name)' is expected to be \(expected)")
  }
}

/// An axis that counts from the end where it is negative.
///
/// - Parameter rank: of the tensor; `axis == rank` is allowed where `isInclusive`.
func axis(_ axis: Int, rank: Int, isInclusive: Bool = false) throws(SimilarityError) -> Int {
  let limit = isInclusive ? rank : rank - 1
  guard axis >= -rank, axis <= limit else {
    throw malformed("axis \(axis) is none of a tensor of \(rank) axes")
  }
  return axis < 0 ? axis + rank : axis
}

/// Axes in increasing order, each once.
func axes(_ list: [Int], rank: Int) throws(SimilarityError) -> [Int] {
  var result: [Int] = []
  for element in list { result.append(try axis(element, rank: rank)) }
  guard Set(result).count == result.count else { throw malformed("axes \(list) name one of \(rank) axes twice") }
  return result.sorted()
}
