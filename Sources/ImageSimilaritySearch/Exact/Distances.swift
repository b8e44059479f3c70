import COpenBLAS
import CSimilarityKernels
import ImageSimilarityCore

// The room's one door to pointers: each function checks the extents that the C code relies on.

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
            unsafe ims_search_dot(start, start, 1, dimension, &norm)
          }
          return norm
        }
      }
    }
  }

  /// The distances of row `query` of `queries` to the rows `rows` of this matrix: fp64, rounded to fp32.
  ///
  /// - Parameter work: scratch memory, at least one element a row.
  func distances(
    ofRows rows: Range<Int>, squaredNorms: borrowing [Double], to query: Int, of queries: EmbeddingMatrix,
    squaredNorm: Double, metric: Metric, work: inout [Double], into distances: inout [Float]
  ) {
    precondition(
      rows.lowerBound >= 0 && rows.upperBound <= self.rows && squaredNorms.count == self.rows
        && query >= 0 && query < queries.rows && queries.dimension == dimension
        && work.count >= rows.count && distances.count >= rows.count,
      "the operands of a distance do not fit together")
    withElements { elements in
      queries.withElements { queryElements in
        unsafe elements.withUnsafeBufferPointer { elements in
          unsafe queryElements.withUnsafeBufferPointer { queryElements in
            unsafe work.withUnsafeMutableBufferPointer { work in
              guard let first = elements.baseAddress, let firstQuery = queryElements.baseAddress,
                let results = work.baseAddress
              else { return }
              let a = unsafe firstQuery + query * dimension
              let b = unsafe first + rows.lowerBound * dimension
              switch metric {
              case .cosine, .innerProduct: unsafe ims_search_dot(a, b, rows.count, dimension, results)
              case .euclidean: unsafe ims_search_squared_distance(a, b, rows.count, dimension, results)
              }
            }
          }
        }
      }
    }
    switch metric {
    case .cosine:
      for i in 0..<rows.count {
        distances[i] = cosineDistance(
          product: work[i], squaredNorms: squaredNorm, squaredNorms[rows.lowerBound + i])
      }
    case .euclidean:
      for i in 0..<rows.count { distances[i] = Float(work[i].squareRoot()) }
    case .innerProduct:
      // Not -0: equal distances are equal bits.
      for i in 0..<rows.count { distances[i] = Float(0 - work[i]) }
    }
  }
}

/// `1 - ab / sqrt(aa * bb)`, not below 0. Of equal vectors it is exactly 0, because `sqrt(s * s) == s`; fp64 holds the
/// product of two squared norms without overflow or underflow.
private func cosineDistance(product: Double, squaredNorms a: Double, _ b: Double) -> Float {
  if a == 0 || b == 0 { return a == b ? 0 : 1 }
  return Float(max(0, 1 - product / (a * b).squareRoot()))
}

/// `products[i, j] = a[aRows.lowerBound + i] . b[bRows.lowerBound + j]`, `[aRows.count, bRows.count]` row-major, in fp32.
func multiply(
  _ a: EmbeddingMatrix, rows aRows: Range<Int>, _ b: EmbeddingMatrix, rows bRows: Range<Int>,
  into products: inout [Float]
) {
  precondition(
    aRows.lowerBound >= 0 && aRows.upperBound <= a.rows && bRows.lowerBound >= 0 && bRows.upperBound <= b.rows
      && a.dimension == b.dimension && products.count >= aRows.count * bRows.count,
    "the operands of a matrix product do not fit together")
  BLASSettings.applyDefaultIfNeeded()
  a.withElements { aElements in
    b.withElements { bElements in
      unsafe aElements.withUnsafeBufferPointer { aElements in
        unsafe bElements.withUnsafeBufferPointer { bElements in
          unsafe products.withUnsafeMutableBufferPointer { products in
            guard let a0 = aElements.baseAddress, let b0 = bElements.baseAddress else { return }
            let d = a.dimension
            unsafe cblas_sgemm(
              CblasRowMajor, CblasNoTrans, CblasTrans, Int32(aRows.count), Int32(bRows.count), Int32(d),
              1, a0 + aRows.lowerBound * d, Int32(d), b0 + bRows.lowerBound * d, Int32(d),
              0, products.baseAddress, Int32(bRows.count))
          }
        }
      }
    }
  }
}

/// Writes the `i` with `offsets[rows][i] + scales[rows][i] * products[start + i] <= limit` to `selected`, ascending, and
/// returns how many there are.
func select(
  products: borrowing [Float], start: Int, scales: borrowing [Float], offsets: borrowing [Float], rows: Range<Int>,
  limit: Float, into selected: inout [UInt32]
) -> Int {
  precondition(
    start >= 0 && start + rows.count <= products.count && rows.lowerBound >= 0 && rows.upperBound <= scales.count
      && scales.count == offsets.count && rows.count <= selected.count,
    "the operands of a selection do not fit together")
  return unsafe products.withUnsafeBufferPointer { products in
    unsafe scales.withUnsafeBufferPointer { scales in
      unsafe offsets.withUnsafeBufferPointer { offsets in
        unsafe selected.withUnsafeMutableBufferPointer { selected in
          guard let p = products.baseAddress, let s = scales.baseAddress, let o = offsets.baseAddress,
            let target = selected.baseAddress
          else { return 0 }
          return unsafe ims_search_select(
            p + start, s + rows.lowerBound, o + rows.lowerBound, rows.count, limit, target)
        }
      }
    }
  }
}
