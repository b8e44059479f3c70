import CSimilarityKernels
import ImageSimilarityCore

// The room's one door to the fp64 kernels: each function checks the extents that the C code relies on.

extension EmbeddingMatrix {
  /// The sum of squares of each row, in fp64; NaN or infinite exactly where an element is.
  ///
  /// - Complexity: O(`rows * dimension`)
  func squaredNorms() -> [Double] {
    withElements { elements in
      unsafe elements.withUnsafeBufferPointer { elements in
        (0..<rows).map { row in
          var norm = 0.0
          if let first = elements.baseAddress {
            let start = unsafe first + row * dimension
            unsafe ims_search_dot(start, start, nil, 1, dimension, &norm)
          }
          return norm
        }
      }
    }
  }

  /// The distances of row `query` of `queries` to the rows `rows` of this matrix: fp64, rounded to fp32.
  ///
  /// - Parameter work: scratch memory, which grows to an element a row.
  func distances(
    ofRows rows: [UInt32], squaredNorms: borrowing [Double], to query: Int, of queries: EmbeddingMatrix,
    squaredNorm: Double, metric: Metric, work: inout [Double], into distances: inout [Float]
  ) {
    precondition(
      rows.allSatisfy { $0 < self.rows } && squaredNorms.count == self.rows && query >= 0 && query < queries.rows
        && queries.dimension == dimension,
      "the operands of a distance do not fit together")
    if work.count < rows.count { work = [Double](repeating: 0, count: rows.count) }
    withElements { elements in
      queries.withElements { queryElements in
        unsafe elements.withUnsafeBufferPointer { elements in
          unsafe queryElements.withUnsafeBufferPointer { queryElements in
            unsafe work.withUnsafeMutableBufferPointer { work in
              guard let first = elements.baseAddress, let firstQuery = queryElements.baseAddress,
                let results = work.baseAddress
              else { return }
              unsafe pairwise(
                metric, firstQuery + query * dimension, first, rows, rows.count, dimension, results)
            }
          }
        }
      }
    }
    distances.removeAll(keepingCapacity: true)
    for (i, row) in rows.enumerated() {
      distances.append(distance(metric, work[i], squaredNorms: squaredNorm, squaredNorms[Int(row)]))
    }
  }
}

extension CodedVectors {
  /// The distances of a query to the rows `rows`: fp64, rounded to fp32.
  ///
  /// - Parameter scratch: memory and results; any may be used again and again.
  func distances(ofRows rows: [UInt32], to query: Rankings.Query, metric: Metric, using scratch: inout DistanceScratch)
  {
    precondition(
      query.elements.count == dimension && rows.allSatisfy { $0 < self.rows },
      "the operands of a distance do not fit together")
    scratch.reserve(rows: rows.count)
    unsafe query.elements.withUnsafeBufferPointer { query in
      unsafe scratch.work.withUnsafeMutableBufferPointer { work in
        guard let query = query.baseAddress, let results = work.baseAddress else { return }
        switch elements {
        case .fp32(let matrix):
          matrix.withElements { elements in
            unsafe elements.withUnsafeBufferPointer { elements in
              guard let elements = elements.baseAddress else { return }
              unsafe pairwise(metric, query, elements, rows, rows.count, dimension, results)
            }
          }
        case .fp16:
          for (i, row) in rows.enumerated() {
            unsafe elements.withFloats(ofRows: Int(row)..<Int(row) + 1, dimension: dimension) { floats in
              guard let floats = floats.baseAddress else { return }
              unsafe pairwise(metric, query, floats, nil, 1, dimension, results + i)
            }
          }
        }
      }
    }
    for (i, row) in rows.enumerated() {
      scratch.distances[i] = distance(
        metric, scratch.work[i], squaredNorms: query.squaredNorm, squaredNorms[Int(row)])
    }
  }
}

/// Memory of ``CodedVectors/distances(ofRows:to:metric:using:)``, and its results.
struct DistanceScratch {
  fileprivate var work: [Double] = []
  /// One a row.
  fileprivate(set) var distances: [Float] = []

  fileprivate mutating func reserve(rows: Int) {
    if work.count >= rows { return }
    work = [Double](repeating: 0, count: rows)
    distances = [Float](repeating: 0, count: rows)
  }
}

/// What a distance is made of, in fp64: the inner products of a query with rows, or its squared Euclidean distances.
func pairwise(
  _ metric: Metric, _ query: UnsafePointer<Float>, _ rows: UnsafePointer<Float>, _ indices: UnsafePointer<UInt32>?,
  _ count: Int, _ dimension: Int, _ results: UnsafeMutablePointer<Double>
) {
  switch metric {
  case .cosine, .innerProduct: unsafe ims_search_dot(query, rows, indices, count, dimension, results)
  case .euclidean: unsafe ims_search_squared_distance(query, rows, indices, count, dimension, results)
  }
}

func distance(_ metric: Metric, _ value: Double, squaredNorms a: Double, _ b: Double) -> Float {
  switch metric {
  case .cosine: cosineDistance(product: value, squaredNorms: a, b)
  case .euclidean: Float(value.squareRoot())
  // Not -0: equal distances are equal bits.
  case .innerProduct: Float(0 - value)
  }
}

/// `1 - ab / sqrt(aa * bb)`, not below 0. Of equal vectors it is exactly 0, because `sqrt(s * s) == s`; fp64 holds the
/// product of two squared norms without overflow or underflow.
private func cosineDistance(product: Double, squaredNorms a: Double, _ b: Double) -> Float {
  if a == 0 || b == 0 { return a == b ? 0 : 1 }
  return Float(max(0, 1 - product / (a * b).squareRoot()))
}
