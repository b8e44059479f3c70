public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Writes a float32 matrix as a NumPy `.npy` file (format 1.0, little-endian, C order) row by row; memory does not grow.
///
/// The file appears at its path with ``finish()``. Without that, nothing remains.
public struct NumPyWriter: ~Copyable {
  /// Number of columns.
  public let dimension: Int
  /// How many rows have been appended.
  public private(set) var rows = 0
  private var file: AtomicFile

  /// - Precondition: `dimension` is at least 1.
  /// - Throws: ``SimilarityError/Code/inputOutput``, as do the other functions.
  public init(_ url: URL, dimension: Int) throws(SimilarityError) {
    precondition(dimension > 0, "a row has at least one element")
    var file = try AtomicFile(url)
    try unsafe file.append(Self.header(rows: 0, dimension: dimension).span.bytes)
    self.dimension = dimension
    self.file = file
  }

  /// - Precondition: `matrix.dimension == dimension`.
  public mutating func append(_ matrix: EmbeddingMatrix) throws(SimilarityError) {
    precondition(matrix.dimension == dimension, "rows of \(dimension) elements, not \(matrix.dimension)")
    try matrix.withElements { elements throws(SimilarityError) in try unsafe file.append(elements.bytes) }
    rows += matrix.rows
  }

  public consuming func finish() throws(SimilarityError) {
    try unsafe file.overwrite(at: 0, Self.header(rows: rows, dimension: dimension).span.bytes)
    try file.commit()
  }

  /// 128 bytes for any shape, so that it can be written before the number of rows is known.
  package static func header(rows: Int, dimension: Int) -> [UInt8] {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(dimension)), }"
    let length = 128 - NumPyFile.magic.count - 4
    var header = NumPyFile.magic + [1, 0, UInt8(length), 0] + Array(text.utf8)
    header += repeatElement(UInt8(ascii: " "), count: 127 - header.count)
    return header + [UInt8(ascii: "\n")]
  }
}
