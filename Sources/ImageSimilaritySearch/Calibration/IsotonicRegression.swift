/// Least squares under an order: the pool-adjacent-violators algorithm.
///
/// Ayer, Brunk, Ewing, Reid, Silverman, An Empirical Distribution Function for Sampling with Incomplete Information (1955);
/// as a calibration: Zadrozny, Elkan, Transforming Classifier Scores into Accurate Multiclass Probability Estimates (2002).
package enum IsotonicRegression {
  /// Neighbouring samples with one value.
  package struct Block: Sendable {
    package var samples: Range<Int>
    /// The sum of their weights, above 0.
    package var weight: Double
    package var value: Double
  }

  /// The weighted means of neighbouring samples that never increase and are nearest to `values` in the sum of weighted squares.
  ///
  /// - Parameters:
  ///   - ties: Whether a sample must have the value of the one before it.
  /// - Precondition: all three have one length, and the weights are above 0.
  /// - Complexity: O(`values.count`)
  package static func nonincreasing(
    _ values: [Double], weights: [Double], ties: (Int) -> Bool = { _ in false }
  ) -> [Block] {
    precondition(values.count == weights.count, "each value has a weight")
    var blocks: [Block] = []
    var i = 0
    while i < values.count {
      var block = Block(samples: i..<i + 1, weight: weights[i], value: values[i])
      i += 1
      while i < values.count, ties(i) {
        block.join(Block(samples: i..<i + 1, weight: weights[i], value: values[i]))
        i += 1
      }
      while let last = blocks.last, last.value <= block.value {
        var pooled = last
        pooled.join(block)
        block = pooled
        blocks.removeLast()
      }
      blocks.append(block)
    }
    return blocks
  }
}

extension IsotonicRegression.Block {
  fileprivate mutating func join(_ next: Self) {
    samples = samples.lowerBound..<next.samples.upperBound
    value = (value * weight + next.value * next.weight) / (weight + next.weight)
    weight += next.weight
  }
}
