package import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The vectors of a segment, in a mapped safetensors file with the tensors of ``CodedVectors``: `codes`, `squared_norms`,
/// `scales`, `errors`, `zeros`, `sums`, `embeddings`, and their `checksums`.
///
/// Nothing is checked when the file is opened: call ``verifyCodes()`` before the codes are used, and
/// ``verifyElements(ofRows:)`` before the elements are.
package struct StoredVectors: Sendable {
  package let vectors: CodedVectors
  let file: CheckedFile
  private let places: [Tensor: Range<Int>]

  enum Tensor: String, CaseIterable {
    // The codes of a panel have a multiple of 64 bytes, so each column is aligned to its elements.
    case codes
    case squaredNorms = "squared_norms"
    case scales, errors, zeros, sums, embeddings

    func type(_ precision: ElementPrecision) -> SafetensorsFile.ElementType {
      switch self {
      case .codes: .u8
      case .squaredNorms: .f64
      case .scales, .errors: .f32
      case .zeros, .sums: .i32
      case .embeddings: precision == .fp32 ? .f32 : .f16
      }
    }

    func shape(rows: Int, dimension: Int) -> [Int] {
      switch self {
      case .codes: [(rows + 15) / 16, (dimension + 3) / 4, 16, 4]
      case .embeddings: [rows, dimension]
      default: [rows]
      }
    }
  }

  static let suffix = ".safetensors"
  static let projectedSuffix = ".projected.safetensors"

  init(
    _ entry: Manifest.CheckedFile, rows: Int, dimension: Int, precision: ElementPrecision, folder: ModelFolder
  ) throws(SimilarityError) {
    let tensors = try SafetensorsFile(entry.map(in: folder), errorCode: .modelCorrupt)
    let file = try CheckedFile(tensors, digest: entry.digest)
    var places: [Tensor: Range<Int>] = [:]
    for column in Tensor.allCases {
      let shape = column.shape(rows: rows, dimension: dimension)
      let type = column.type(precision)
      guard let tensor = tensors[column.rawValue], tensor.shape == shape, tensor.elementType == type else {
        throw SimilarityError(
          .modelCorrupt,
          "\(file.file.name) is damaged: expected a tensor \(column.rawValue), \(type) \(shape), found "
            + (tensors[column.rawValue].map { "\($0.elementType) \($0.shape)" } ?? "none"))
      }
      places[column] = tensor.byteRange
    }
    self.file = file
    self.places = places
    func mapped<Element>(
      _ column: Tensor, as: Element.Type
    ) throws(SimilarityError) -> Column<Element> {
      try CheckedColumn<Element>(column.rawValue, column.type(precision), in: tensors, file).column
    }
    guard let embeddings = tensors[Tensor.embeddings.rawValue] else { preconditionFailure("it was there above") }
    vectors = CodedVectors(
      rows: rows, dimension: dimension,
      elements: precision == .fp32
        ? .fp32(try tensors.matrix(embeddings)) : .fp16(try mapped(.embeddings, as: UInt16.self)),
      codes: try mapped(.codes, as: UInt8.self), scales: try mapped(.scales, as: Float.self),
      zeros: try mapped(.zeros, as: Int32.self), sums: try mapped(.sums, as: Int32.self),
      errors: try mapped(.errors, as: Float.self), squaredNorms: try mapped(.squaredNorms, as: Double.self))
  }

  /// Throws ``SimilarityError/Code/modelCorrupt`` unless the codes, and all columns with an element a row, are what was
  /// written.
  ///
  /// - Complexity: reads them all the first time; O(bytes / 1 MiB) afterwards.
  package func verifyCodes() throws(SimilarityError) {
    for column in Tensor.allCases where column != .embeddings { try file.verify(place(column)) }
  }

  /// Throws ``SimilarityError/Code/modelCorrupt`` unless the elements of these rows are what was written.
  ///
  /// - Complexity: O(1) a 16 KiB that was checked before.
  package func verifyElements(ofRows rows: Range<Int>) throws(SimilarityError) {
    let place = place(.embeddings)
    let rowBytes = rowBytes(.embeddings)
    try file.verify(place.lowerBound + rows.lowerBound * rowBytes..<place.lowerBound + rows.upperBound * rowBytes)
  }

  func place(_ column: Tensor) -> Range<Int> {
    guard let place = places[column] else { preconditionFailure("each column has a place") }
    return place
  }

  /// Bytes of a row in one of the columns that lie row after row.
  func rowBytes(_ column: Tensor) -> Int { vectors.rows == 0 ? 0 : place(column).count / vectors.rows }
}
