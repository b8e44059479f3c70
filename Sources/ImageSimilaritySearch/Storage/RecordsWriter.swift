import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Writes the two files of ``StoredRecords``, row after row. Takes some 40 bytes a row, and its id.
struct RecordsWriter: ~Copyable {
  private var file: AtomicFile
  private let folder: ModelFolder
  private let number: String
  private var pending: [UInt8] = []
  private var checksums: [UInt32] = []
  private var recordOffsets: [Int64] = [0]
  private var idOffsets: [Int64] = [0]
  private var ids: [UInt8] = []
  private var idHashes: [UInt64] = []
  private var pathHashes: [UInt64?] = []

  private static let pendingBytes = 64 * Checksums.chunkBytes

  init(folder: ModelFolder, number: String) throws(SimilarityError) {
    self.folder = folder
    self.number = number
    file = try AtomicFile(folder.segment(number + StoredRecords.linesSuffix))
  }

  mutating func append(_ record: ImageRecord) throws(SimilarityError) {
    try append(line: JSONLines.encode([record]), id: record.id, pathHash: record.path.map(TextTable.hash))
  }

  /// A row as another file has it.
  mutating func append(line: Data, id: String, pathHash: UInt64?) throws(SimilarityError) {
    pending.append(contentsOf: line)
    recordOffsets.append(recordOffsets[recordOffsets.count - 1] + Int64(line.count))
    ids.append(contentsOf: id.utf8)
    idOffsets.append(Int64(ids.count))
    idHashes.append(TextTable.hash(id))
    pathHashes.append(pathHash)
    if pending.count >= Self.pendingBytes { try flush(pending.count / Self.pendingBytes * Self.pendingBytes) }
  }

  /// - Parameter wrote: called after each file.
  consuming func commit(
    _ wrote: () -> Void
  ) throws(SimilarityError) -> (records: Manifest.PlainFile, lookup: Manifest.CheckedFile) {
    try flush(pending.count)
    let records = Manifest.PlainFile(
      file: number + StoredRecords.linesSuffix, bytes: Int(recordOffsets[recordOffsets.count - 1]))
    let byID = idHashes.indices.map { (hash: idHashes[$0], row: UInt32($0)) }.sorted { $0 < $1 }
    let byPath = pathHashes.indices.compactMap { row in pathHashes[row].map { (hash: $0, row: UInt32(row)) } }
      .sorted { $0 < $1 }
    // The tensor after it begins at a multiple of four.
    ids.append(contentsOf: repeatElement(0, count: (4 - ids.count % 4) % 4))
    var lookup = try CheckedFileWriter(
      folder.segment(number + StoredRecords.lookupSuffix),
      [
        ("record_offsets", .i64, [recordOffsets.count]), ("id_offsets", .i64, [idOffsets.count]),
        (TextTable.hashesName("id"), .u64, [byID.count]), (TextTable.hashesName("path"), .u64, [byPath.count]),
        (StoredRecords.recordChecksumsName, .u32, [checksums.count]), (TextTable.rowsName("id"), .u32, [byID.count]),
        (TextTable.rowsName("path"), .u32, [byPath.count]), ("ids", .u8, [ids.count]),
      ])
    try lookup.append(recordOffsets.span)
    try lookup.append(idOffsets.span)
    let hashes = (byID.map(\.hash), byPath.map(\.hash))
    try lookup.append(hashes.0.span)
    try lookup.append(hashes.1.span)
    try lookup.append(checksums.span)
    let rows = (byID.map(\.row), byPath.map(\.row))
    try lookup.append(rows.0.span)
    try lookup.append(rows.1.span)
    try lookup.append(ids.span)
    let entry = try lookup.commit()
    wrote()
    try file.commit()
    wrote()
    return (records, entry)
  }

  /// Writes the first bytes of what is pending: whole chunks, or the last.
  private mutating func flush(_ count: Int) throws(SimilarityError) {
    var bytes: [UInt8] = []
    swap(&bytes, &pending)
    do {
      let part = unsafe bytes.span.bytes.extracting(first: count)
      checksums += Checksums.of(part)
      try file.append(part)
    }
    bytes.removeFirst(count)
    swap(&bytes, &pending)
  }
}
