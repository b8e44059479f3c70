package import ImageSimilarityCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension SegmentStore {
  /// Images that were stored together. Immutable: rows that are removed later stay, and are no longer live.
  ///
  /// The files are mapped, and outlive their names. What is read from them is checked when it is read for the first time; the
  /// vectors' memory is what the caller must have checked, by ``verifyCodes()`` and ``verifyElements(ofRow:)``.
  public struct Segment: Sendable {
    var entry: Manifest.Segment
    let stored: StoredVectors
    private(set) var records: StoredRecords
    /// nil as long as nothing was removed.
    private(set) var removed: RowBitmap?

    /// Number of rows, live or not.
    public var rows: Int { entry.rows }
    /// Number of live rows.
    public var liveCount: Int { entry.liveCount }
    /// The vectors of all rows, in mapped memory.
    package var vectors: CodedVectors { stored.vectors }

    /// Whether the row belongs to the model.
    public func isLive(_ row: Int) -> Bool { removed.map { !$0.contains(row) } ?? true }

    /// - Complexity: O(1)
    package func id(_ row: Int) throws(SimilarityError) -> String { try records.id(row) }

    /// - Complexity: O(1), and decodes a line of JSON.
    package func record(_ row: Int) throws(SimilarityError) -> ImageRecord { try records.record(row) }

    /// A copy of a row, checked.
    ///
    /// - Complexity: O(dimension)
    package func embedding(_ row: Int) throws(SimilarityError) -> [Float] {
      try verifyElements(ofRow: row)
      return vectors.elements.row(row, dimension: vectors.dimension)
    }

    /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the file and the damaged bytes unless the codes,
    /// and the columns with a number a row, are what was written: to be called before each scan.
    ///
    /// - Complexity: reads them all the first time; next to nothing afterwards.
    package func verifyCodes() throws(SimilarityError) { try stored.verifyCodes() }

    /// The same of a row's elements: to be called before they are read.
    ///
    /// - Complexity: O(16 KiB) the first time; O(1) afterwards.
    package func verifyElements(ofRow row: Int) throws(SimilarityError) {
      try stored.verifyElements(ofRows: row..<row + 1)
    }

    init(
      _ entry: Manifest.Segment, dimension: Int, precision: ElementPrecision, folder: ModelFolder
    ) throws(SimilarityError) {
      self.entry = entry
      stored = try StoredVectors(
        entry.vectors, rows: entry.rows, dimension: dimension, precision: precision, folder: folder)
      records = try StoredRecords(entry, folder: folder)
      removed = try Self.removed(entry, folder)
    }

    static func removed(_ entry: Manifest.Segment, _ folder: ModelFolder) throws(SimilarityError) -> RowBitmap? {
      guard let file = entry.removed else { return nil }
      guard let bitmap = RowBitmap(try file.read(in: folder), rows: entry.rows), bitmap.count == file.count else {
        throw SimilarityError(
          .modelCorrupt, "\(folder.segment(file.file).path) is damaged: expected \(file.count) of \(entry.rows) rows")
      }
      return bitmap
    }

    /// The live row of an id (the same UTF-8 bytes), if there is one.
    ///
    /// - Complexity: O(log(rows))
    func liveRow(ofID id: String) throws(SimilarityError) -> Int? { try records.rows(ofID: id).first(where: isLive) }

    /// The live rows, in order.
    package var liveRows: [Int] { (0..<rows).filter(isLive) }

    /// Takes other records of the same rows.
    mutating func replaceRecords(
      _ files: (records: Manifest.PlainFile, lookup: Manifest.CheckedFile), in folder: ModelFolder
    ) throws(SimilarityError) {
      entry.records = files.records
      entry.lookup = files.lookup
      records = try StoredRecords(entry, folder: folder)
    }

    /// Removes rows; the bitmap is a new file of this name.
    mutating func remove(_ rows: Set<Int>, writing file: String, in folder: ModelFolder) throws(SimilarityError) {
      var bitmap = removed ?? RowBitmap(rows: self.rows)
      for row in rows { bitmap.insert(row) }
      entry.removed = try .write(Data(bitmap.bytes), count: bitmap.count, as: file, in: folder)
      removed = bitmap
    }
  }
}
