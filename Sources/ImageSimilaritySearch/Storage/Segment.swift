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
    /// The embeddings after the model's projection; nil where it has none.
    private(set) var projected: StoredVectors?
    private(set) var records: StoredRecords
    /// nil as long as nothing was removed.
    private(set) var removed: RowBitmap?

    /// Number of rows, live or not.
    public var rows: Int { entry.rows }
    /// Number of live rows.
    public var liveCount: Int { entry.liveCount }
    /// What is searched.
    private var searched: StoredVectors { projected ?? stored }
    /// The searched vectors of all rows, in mapped memory: embeddings, or what the model's projection made of them.
    package var vectors: CodedVectors { searched.vectors }

    /// Whether the row belongs to the model.
    public func isLive(_ row: Int) -> Bool { removed.map { !$0.contains(row) } ?? true }

    /// - Complexity: O(1)
    package func id(_ row: Int) throws(SimilarityError) -> String { try records.id(row) }

    /// - Complexity: O(1), and decodes a line of JSON.
    package func record(_ row: Int) throws(SimilarityError) -> ImageRecord { try records.record(row) }

    /// A copy of a row of what the extractor made, checked.
    ///
    /// - Complexity: O(dimension)
    package func embedding(_ row: Int) throws(SimilarityError) -> [Float] {
      try stored.verifyElements(ofRows: row..<row + 1)
      return stored.vectors.elements.row(row, dimension: stored.vectors.dimension)
    }

    /// A copy of a row of ``vectors``, checked.
    ///
    /// - Complexity: O(dimension)
    package func searchedVector(_ row: Int) throws(SimilarityError) -> [Float] {
      try verifyElements(ofRow: row)
      return vectors.elements.row(row, dimension: vectors.dimension)
    }

    /// Throws ``ImageSimilarityCore/SimilarityError/Code/modelCorrupt`` with the file and the damaged bytes unless the codes,
    /// and the columns with a number a row, are what was written: to be called before each scan.
    ///
    /// - Complexity: reads them all the first time; next to nothing afterwards.
    package func verifyCodes() throws(SimilarityError) { try searched.verifyCodes() }

    /// The same of a row's elements: to be called before they are read.
    ///
    /// - Complexity: O(16 KiB) the first time; O(1) afterwards.
    package func verifyElements(ofRow row: Int) throws(SimilarityError) {
      try searched.verifyElements(ofRows: row..<row + 1)
    }

    init(_ entry: Manifest.Segment, of manifest: Manifest, folder: ModelFolder) throws(SimilarityError) {
      self.entry = entry
      stored = try StoredVectors(
        entry.vectors, rows: entry.rows, dimension: manifest.extractor.fingerprint.dimension,
        precision: manifest.precision, folder: folder)
      projected = try Self.projected(entry, of: manifest, folder)
      records = try StoredRecords(entry, folder: folder)
      removed = try Self.removed(entry, folder)
    }

    static func projected(
      _ entry: Manifest.Segment, of manifest: Manifest, _ folder: ModelFolder
    ) throws(SimilarityError) -> StoredVectors? {
      guard let file = entry.projected, let projection = manifest.projection else { return nil }
      return try StoredVectors(
        file, rows: entry.rows, dimension: projection.file.count, precision: manifest.precision, folder: folder)
    }

    /// Takes other projected vectors of the same rows, or none.
    mutating func replaceProjected(
      _ file: Manifest.CheckedFile?, of manifest: Manifest, in folder: ModelFolder
    ) throws(SimilarityError) {
      entry.projected = file
      projected = try Self.projected(entry, of: manifest, folder)
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

extension SegmentStore.Segment: VectorSource {}
