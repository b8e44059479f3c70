import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The records of a segment: JSON Lines for people, and a lookup that finds lines, ids and rows without reading all of it.
///
/// The lookup is a safetensors file with the tensors
/// - `record_offsets` I64 `[rows + 1]`: where each row's line begins, and the end of the file,
/// - `id_offsets` I64 `[rows + 1]` and `ids` U8: each row's id in UTF-8,
/// - `id_hashes` U64 `[rows]`, ascending, and `id_rows` U32 `[rows]`: the rows by the hash of their ids,
/// - `path_hashes`, `path_rows`: the same of the paths of rows that have one,
/// - `record_checksums` U32: those of the JSON Lines file,
/// - `checksums` U32: those of the tensors before.
struct StoredRecords: Sendable {
  let rows: Int
  let lines: CheckedFile
  let lookup: CheckedFile
  private let recordOffsets: CheckedColumn<Int64>
  private let idOffsets: CheckedColumn<Int64>
  private let ids: CheckedColumn<UInt8>
  private let byID: TextTable
  private let byPath: TextTable

  static let linesSuffix = ".jsonl"
  static let lookupSuffix = ".lookup.safetensors"
  static let recordChecksumsName = "record_checksums"

  init(_ entry: Manifest.Segment, folder: ModelFolder) throws(SimilarityError) {
    rows = entry.rows
    let tensors = try SafetensorsFile(entry.lookup.map(in: folder), errorCode: .modelCorrupt)
    lookup = try CheckedFile(tensors, digest: entry.lookup.digest)
    recordOffsets = try CheckedColumn("record_offsets", .i64, count: rows + 1, in: tensors, lookup)
    idOffsets = try CheckedColumn("id_offsets", .i64, count: rows + 1, in: tensors, lookup)
    ids = try CheckedColumn("ids", .u8, in: tensors, lookup)
    byID = try TextTable("id", in: tensors, lookup)
    byPath = try TextTable("path", in: tensors, lookup)
    guard let checksums = tensors[Self.recordChecksumsName] else {
      throw SimilarityError(.modelCorrupt, "\(lookup.file.name) is damaged: it has no \(Self.recordChecksumsName)")
    }
    let file = try entry.records.map(in: folder)
    lines = try CheckedFile(
      file, range: 0..<file.count, table: (tensors.file, checksums.byteRange), proof: .checkedFile(lookup))
  }

  func id(_ row: Int) throws(SimilarityError) -> String {
    let range = try self.range(row, idOffsets, limit: ids.count)
    try ids.verify(range)
    return ids.column.withElements {
      unsafe String(decoding: $0.extracting(range).withUnsafeBufferPointer { unsafe Array($0) }, as: UTF8.self)
    }
  }

  /// The row's line, with the line feed.
  func line(_ row: Int) throws(SimilarityError) -> Data {
    let range = try self.range(row, recordOffsets, limit: lines.file.count)
    try lines.verify(range)
    return lines.file.withBytes { unsafe $0.extracting(range).withUnsafeBytes { unsafe Data($0) } }
  }

  func record(_ row: Int) throws(SimilarityError) -> ImageRecord {
    do {
      return try JSONDecoder().decode(ImageRecord.self, from: line(row))
    } catch let error as SimilarityError {
      throw error
    } catch {
      throw SimilarityError(
        .modelCorrupt, "\(lines.file.name) is damaged: line \(row + 1) is not the JSON expected: \(explain(error))")
    }
  }

  /// The rows with this id (the same UTF-8 bytes).
  func rows(ofID id: String) throws(SimilarityError) -> [Int] {
    var found: [Int] = []
    for row in try byID.candidates(id) where try self.id(row).utf8.elementsEqual(id.utf8) { found.append(row) }
    return found
  }

  /// The rows whose record may have this path.
  func candidates(forPath path: String) throws(SimilarityError) -> [Int] {
    try byPath.candidates(path).filter { $0 < rows }
  }

  /// The hash of each row's id.
  func idHashes() throws(SimilarityError) -> [UInt64?] { try byID.hashesByRow(rows) }

  /// The hash of each row's path.
  func pathHashes() throws(SimilarityError) -> [UInt64?] { try byPath.hashesByRow(rows) }

  /// Says that the files are not needed soon.
  func release() {
    for file in [lines.file, lookup.file] { file.release(0..<file.count) }
  }

  private func range(
    _ row: Int, _ offsets: CheckedColumn<Int64>, limit: Int
  ) throws(SimilarityError) -> Range<Int> {
    guard row >= 0, row < rows else {
      throw SimilarityError(.modelCorrupt, "\(lookup.file.name) is damaged: it names row \(row) of \(rows)")
    }
    let (start, end) = (Int(try offsets[row]), Int(try offsets[row + 1]))
    guard start >= 0, start <= end, end <= limit else {
      throw SimilarityError(
        .modelCorrupt, "\(lookup.file.name) is damaged: row \(row) lies at \(start) to \(end) of \(limit) bytes")
    }
    return start..<end
  }
}
