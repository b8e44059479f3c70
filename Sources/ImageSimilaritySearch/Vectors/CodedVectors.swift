import CSimilarityKernels
package import ImageSimilarityCore

/// Vectors and their codes: what a scan needs of them. Immutable; a copy shares the memory, which may be that of mapped files.
///
/// A code has a byte an element: `x[i]` is about `scale * (code[i] - zero)`, with a scale and a zero point a row. How far a
/// code is from its vector is known exactly (``errors``), so that a scan of codes can rule rows out for certain.
package struct CodedVectors: Sendable {
  package static let rowsPerPanel = Int(IMSIM_PANEL_ROWS)

  package let rows: Int
  package let dimension: Int
  /// `[rows, dimension]`, row-major.
  package let elements: StoredElements
  /// `[panels, groups, 16, 4]` with `panels = ceil(rows / 16)` and `groups = ceil(dimension / 4)`: element `4 g + j` of row
  /// `16 p + r` at `[p, g, r, j]`, and 0 where there is no such row or element.
  package let codes: Column<UInt8>
  /// The size of a code's step; one a row, as all that follow.
  package let scales: Column<Float>
  /// The code of 0.
  package let zeros: Column<Int32>
  /// The sum of the row's codes.
  package let sums: Column<Int32>
  /// An upper bound of the Euclidean distance between a vector and what its code stands for; infinite where the code says
  /// nothing about the vector.
  package let errors: Column<Float>
  /// The sum of squares of a vector's elements.
  package let squaredNorms: Column<Double>

  /// - Precondition: all columns have the sizes above.
  package init(
    rows: Int, dimension: Int, elements: StoredElements, codes: Column<UInt8>, scales: Column<Float>,
    zeros: Column<Int32>, sums: Column<Int32>, errors: Column<Float>, squaredNorms: Column<Double>
  ) {
    precondition(
      elements.count == rows * dimension && codes.count == Self.codeBytes(rows: rows, dimension: dimension)
        && [scales.count, zeros.count, sums.count, errors.count, squaredNorms.count].allSatisfy { $0 == rows },
      "the columns of coded vectors do not fit together")
    self.rows = rows
    self.dimension = dimension
    self.elements = elements
    self.codes = codes
    self.scales = scales
    self.zeros = zeros
    self.sums = sums
    self.errors = errors
    self.squaredNorms = squaredNorms
  }

  /// Number of bytes of the codes of so many rows.
  package static func codeBytes(rows: Int, dimension: Int) -> Int {
    (rows + rowsPerPanel - 1) / rowsPerPanel * bytesPerPanel(dimension: dimension)
  }

  package static func bytesPerPanel(dimension: Int) -> Int {
    let group = Int(IMSIM_GROUP_ELEMENTS)
    return (dimension + group - 1) / group * group * rowsPerPanel
  }

  /// Encodes vectors. In ``ElementPrecision/fp16`` the elements are rounded first, and the code is that of the rounded ones.
  ///
  /// `squaredNorms` is NaN or infinite exactly where a row has such an element, or, in fp16, one above 65504.
  ///
  /// - Complexity: O(`rows * dimension`)
  package init(encoding matrix: EmbeddingMatrix, as precision: ElementPrecision = .fp32) {
    let rows = matrix.rows
    let dimension = matrix.dimension
    let elements = StoredElements(matrix, as: precision)
    let scales = ColumnMemory<Float>(count: rows)
    let zeros = ColumnMemory<Int32>(count: rows)
    let sums = ColumnMemory<Int32>(count: rows)
    let errors = ColumnMemory<Float>(count: rows)
    let squaredNorms = ColumnMemory<Double>(count: rows)
    let codes = ColumnMemory<UInt8>(count: Self.codeBytes(rows: rows, dimension: dimension))
    let scratch = ColumnMemory<UInt8>(count: dimension)
    for first in stride(from: 0, to: rows, by: Self.rowsPerPanel) {
      let count = min(Self.rowsPerPanel, rows - first)
      unsafe elements.withFloats(ofRows: first..<first + count, dimension: dimension) { floats in
        guard let floats = floats.baseAddress else { return }
        var columns = unsafe imsim_code_columns(
          scales: scales.start + first, zeros: zeros.start + first, sums: sums.start + first,
          errors: errors.start + first, squared_norms: squaredNorms.start + first)
        let panel = first / Self.rowsPerPanel * Self.bytesPerPanel(dimension: dimension)
        unsafe imsim_encode_panel(floats, count, dimension, codes.start + panel, &columns, scratch.start)
      }
    }
    self.init(
      rows: rows, dimension: dimension, elements: elements, codes: Column(codes), scales: Column(scales),
      zeros: Column(zeros), sums: Column(sums), errors: Column(errors), squaredNorms: Column(squaredNorms))
  }
}
