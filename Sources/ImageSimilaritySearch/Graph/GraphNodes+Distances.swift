import CSimilarityKernels
import ImageSimilarityCore

extension GraphNodes {
  /// The distances of a vector to nodes, as ``ExactIndex`` has them.
  ///
  /// - Precondition: elements are kept.
  func distances(to query: [Float], squaredNorm: Double, of some: [Node]) -> [Float] {
    precondition(storage != .int8 && query.count == dimension, "distances in full need all elements")
    var values = [Double](repeating: 0, count: some.count)
    if storage == .fp32 {
      unsafe withAllElements { elements in
        unsafe pairwise(metric, query, elements, some, some.count, dimension, &values)
      }
    } else {
      for (i, node) in some.enumerated() {
        unsafe withElements(of: node) { elements in
          unsafe pairwise(metric, query, elements, nil, 1, dimension, &values[i])
        }
      }
    }
    return zip(some, values).map { node, value in
      distance(metric, value, squaredNorms: squaredNorm, self.squaredNorm(node))
    }
  }
}
