import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Writes the file of ``StoredVectors``.
enum VectorsWriter {
  private typealias Tensor = StoredVectors.Tensor

  /// Vectors in memory.
  static func write(_ vectors: CodedVectors, to url: URL) throws(SimilarityError) -> Manifest.CheckedFile {
    var file = try begin(url, vectors.rows, vectors.dimension, vectors.elements.precision)
    try vectors.codes.withElements { span throws(SimilarityError) in try file.append(span) }
    try vectors.squaredNorms.withElements { span throws(SimilarityError) in try file.append(span) }
    try vectors.scales.withElements { span throws(SimilarityError) in try file.append(span) }
    try vectors.errors.withElements { span throws(SimilarityError) in try file.append(span) }
    try vectors.zeros.withElements { span throws(SimilarityError) in try file.append(span) }
    try vectors.sums.withElements { span throws(SimilarityError) in try file.append(span) }
    switch vectors.elements {
    case .fp32(let matrix): try matrix.withElements { span throws(SimilarityError) in try file.append(span) }
    case .fp16(let halves): try halves.withElements { span throws(SimilarityError) in try file.append(span) }
    }
    return try file.commit()
  }

  /// Rows of other files, ascending in each, one file after the other. Their bytes are checked and copied a part at a time.
  static func merge(
    _ sources: [(vectors: StoredVectors, rows: [Int])], to url: URL
  ) throws(SimilarityError) -> Manifest.CheckedFile {
    let rows = sources.reduce(0) { $0 + $1.rows.count }
    let first = sources[0].vectors.vectors
    var file = try begin(url, rows, first.dimension, first.elements.precision)
    try mergeCodes(sources, dimension: first.dimension, into: &file)
    for column in Tensor.allCases where column != .codes {
      for source in sources { try copy(column, of: source.vectors, source.rows, into: &file) }
    }
    return try file.commit()
  }

  private static func begin(
    _ url: URL, _ rows: Int, _ dimension: Int, _ precision: ElementPrecision
  ) throws(SimilarityError) -> CheckedFileWriter {
    try CheckedFileWriter(
      url,
      Tensor.allCases.map { ($0.rawValue, $0.type(precision), $0.shape(rows: rows, dimension: dimension)) })
  }

  private static func copy(
    _ column: Tensor, of source: StoredVectors, _ rows: [Int], into file: inout CheckedFileWriter
  ) throws(SimilarityError) {
    let place = source.place(column)
    let rowBytes = source.rowBytes(column)
    let mapped = source.file.file
    var released = place.lowerBound
    var index = 0
    while index < rows.count {
      let start = index
      index += 1
      while index < rows.count, rows[index] == rows[index - 1] + 1,
        (index - start) * rowBytes < CheckedFile.residentBytes
      {
        index += 1
      }
      let bytes = place.lowerBound + rows[start] * rowBytes..<place.lowerBound + (rows[index - 1] + 1) * rowBytes
      try source.file.verify(bytes)
      try mapped.withBytes { span throws(SimilarityError) in try file.append(span.extracting(bytes)) }
      if bytes.upperBound - released >= CheckedFile.residentBytes {
        mapped.release(released..<bytes.upperBound)
        released = bytes.upperBound
      }
    }
    mapped.release(place)
  }

  /// Puts together panels of rows from any panels. A row's code does not depend on the rows around it.
  private static func mergeCodes(
    _ sources: [(vectors: StoredVectors, rows: [Int])], dimension: Int, into file: inout CheckedFileWriter
  ) throws(SimilarityError) {
    let panelRows = CodedVectors.rowsPerPanel
    let panelBytes = CodedVectors.bytesPerPanel(dimension: dimension)
    var panel = [UInt32](repeating: 0, count: panelBytes / 4)
    var filled = 0
    for (stored, rows) in sources {
      let place = stored.place(.codes)
      var released = place.lowerBound
      for row in rows {
        let start = place.lowerBound + row / panelRows * panelBytes
        try stored.file.verify(start..<start + panelBytes)
        stored.file.file.withBytes { bytes in
          let from = bytes.extracting(start..<start + panelBytes)
          for group in 0..<panelBytes / 64 {
            panel[group * panelRows + filled] = unsafe from.unsafeLoadUnaligned(
              fromByteOffset: (group * panelRows + row % panelRows) * 4, as: UInt32.self)
          }
        }
        filled += 1
        if filled == panelRows {
          try file.append(panel.span)
          panel = [UInt32](repeating: 0, count: panelBytes / 4)
          filled = 0
        }
        if start - released >= CheckedFile.residentBytes {
          stored.file.file.release(released..<start)
          released = start
        }
      }
      stored.file.file.release(place)
    }
    if filled > 0 { try file.append(panel.span) }
  }
}
