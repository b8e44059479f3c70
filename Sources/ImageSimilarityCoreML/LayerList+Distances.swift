internal import ImageSimilarityKit
internal import SwiftProtobuf

extension LayerList {
  /// Adds the layers from an embedding to its distances from the references, `[1, 1, count, 1, 1]`.
  mutating func appendDistances(
    _ metric: Metric, to references: OrderedRows, dimension: Int, from embedding: String, to distance: String
  ) throws(SimilarityError) {
    switch metric {
    case .cosine:
      let direction = "\(embedding).direction"
      // What is added under the root is too little to show beside any embedding but zero, whose distances it makes 1.
      append("normalize", [embedding], direction, .l2Normalize(.with { $0.epsilon = 1e-20 }))
      try appendInnerProduct(
        "cosine", direction, "\(distance).signed",
        references.negated(dimension: dimension, normalized: true),
        bias: [Float](repeating: 1, count: references.count))
      append("not-negative", ["\(distance).signed"], distance, LayerList.threshold(0))
    case .innerProduct:
      try appendInnerProduct(
        "inner-product", embedding, distance, references.negated(dimension: dimension), bias: nil)
    case .euclidean:
      // Differences first: the usual |a|^2 - 2ab + |b|^2 would lose all digits of small distances in half precision, which
      // phones compute in, and half of them in single precision.
      let (row, negated, difference) = ("\(embedding).row", "references", "\(distance).difference")
      append("row", [embedding], row, .reshape(.with { $0.targetShape = [1, 1, Int64(dimension)] }))
      try append(
        "references", [], negated, kind: SpecField.loadConstant,
        SpecLoadConstantLayerParams.with { $0.shape = [UInt64(references.count), 1, UInt64(dimension)] },
        field: SpecField.loadConstantData, references.negated(dimension: dimension))
      append("difference", [negated, row], difference, .add(SpecAddLayerParams()))
      append(
        "euclidean", [difference], distance,
        .reduce(
          .with {
            $0.mode = .l2
            $0.axis = .w
          }))
    }
  }
}

extension OrderedRows {
  /// `-b` or `-b / |b|` for each embedding `b`; zero stays zero.
  fileprivate func negated(dimension: Int, normalized: Bool = false) -> WeightMatrix {
    WeightMatrix(name: "the embeddings", rows: count, columns: dimension) { body throws(SimilarityError) in
      for part in parts {
        var values = try embeddings(part).withElements { elements in elements.indices.map { -elements[$0] } }
        if normalized {
          for start in stride(from: 0, to: values.count, by: dimension) {
            var square = 0.0
            for i in start..<start + dimension { square += Double(values[i]) * Double(values[i]) }
            guard square > 0 else { continue }
            let scale = 1 / square.squareRoot()
            for i in start..<start + dimension { values[i] = Float(Double(values[i]) * scale) }
          }
        }
        try body(values)
      }
    }
  }
}
