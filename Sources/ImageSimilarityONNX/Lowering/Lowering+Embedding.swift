internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Lowering {
  /// A vector of a tensor of one picture, and how it was made, as the end of a sentence; empty where nothing was done.
  mutating func embedding(_ x: Tensor) throws(SimilarityError) -> (vector: NetworkBuilder.Value, how: String) {
    guard x.shape.first ?? 1 == 1 else {
      throw unsupported("the embedding has the shape \(x.shape), which is of several pictures")
    }
    switch x.shape.count {
    case 4 where x.shape[2] * x.shape[3] > 1:
      return (
        network.vector([network.globalAveragePool(x)]), "averaged over its \(x.shape[2])x\(x.shape[3]) pixels"
      )
    case 3 where x.shape[1] > 1 && x.shape[2] > 1:
      let tokens = x.shape[1]
      let side = Int(Double(tokens).squareRoot())
      if side * side == tokens {
        let mean = network.reduce(.mean, x, axes: [1], keepsAxes: false)
        return (network.vector([mean]), "averaged over its \(tokens) tokens")
      }
      // More tokens than patches: the class token is the first one.
      return (
        network.vector([network.sliced(x, axis: 1, from: 0, count: 1)]),
        "of which the first of \(tokens) tokens is taken"
      )
    default:
      return (network.vector([x]), "")
    }
  }
}
