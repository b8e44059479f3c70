import CSimilarityKernels
package import ImageSimilarityCore

/// How a vector's elements are stored.
public enum ElementPrecision: String, Sendable, Hashable, Codable, CaseIterable {
  /// 4 bytes an element, as extractors give them.
  case fp32
  /// 2 bytes an element (IEEE 754 binary16): 11 significant bits, magnitudes up to 65504. Distances are exact for the rounded
  /// elements.
  case fp16
}

/// The elements of vectors, row after row.
package enum StoredElements: Sendable {
  case fp32(EmbeddingMatrix)
  /// The bits of IEEE 754 binary16 numbers.
  case fp16(Column<UInt16>)

  /// In fp16, elements are rounded to nearest, ties to even; magnitudes that round to more than 65504 become infinite.
  package init(_ matrix: EmbeddingMatrix, as precision: ElementPrecision) {
    switch precision {
    case .fp32: self = .fp32(matrix)
    case .fp16:
      let halves = ColumnMemory<UInt16>(count: matrix.rows * matrix.dimension)
      matrix.withElements { elements in
        unsafe elements.withUnsafeBufferPointer { elements in
          guard let from = elements.baseAddress else { return }
          unsafe sim_narrow_f16(from, halves.start, elements.count)
        }
      }
      self = .fp16(Column(halves))
    }
  }

  package var count: Int {
    switch self {
    case .fp32(let matrix): matrix.rows * matrix.dimension
    case .fp16(let halves): halves.count
    }
  }

  package var precision: ElementPrecision {
    switch self {
    case .fp32: .fp32
    case .fp16: .fp16
    }
  }

  /// Calls `body` with the elements of consecutive rows; in fp16, with a widened copy.
  package func withFloats<R>(ofRows rows: Range<Int>, dimension: Int, _ body: (UnsafeBufferPointer<Float>) -> R) -> R {
    let range = rows.lowerBound * dimension..<rows.upperBound * dimension
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "rows \(rows) are not stored")
    switch self {
    case .fp32(let matrix):
      return matrix.withElements { elements in
        unsafe elements.withUnsafeBufferPointer { unsafe body(UnsafeBufferPointer(rebasing: $0[range])) }
      }
    case .fp16(let halves):
      let floats = ColumnMemory<Float>(count: range.count)
      halves.withElements { elements in
        unsafe elements.withUnsafeBufferPointer { elements in
          guard let from = elements.baseAddress else { return }
          unsafe sim_widen_f16(from + range.lowerBound, floats.start, range.count)
        }
      }
      return withExtendedLifetime(floats) {
        unsafe body(UnsafeBufferPointer(start: floats.start, count: range.count))
      }
    }
  }

  /// A copy of one row.
  package func row(_ row: Int, dimension: Int) -> [Float] {
    unsafe withFloats(ofRows: row..<row + 1, dimension: dimension) { unsafe Array($0) }
  }
}
