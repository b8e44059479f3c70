import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Records in a JSON Lines file, a line a row, that other programs may have written.
enum RecordLines {
  static func write(_ records: [ImageRecord], to url: URL) throws(SimilarityError) {
    var file = try AtomicFile(url)
    for start in stride(from: 0, to: records.count, by: 1024) {
      let lines = try JSONLines.encode(Array(records[start..<min(start + 1024, records.count)]))
      try file.append(lines.bytes)
    }
    try file.commit()
  }

  /// - Parameter id: The id of a row whose line has none.
  static func read(_ url: URL, rows: Int, id: (Int) -> String) throws(SimilarityError) -> [ImageRecord] {
    let file = try MappedFile(contentsOf: url)
    let data = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    var lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    guard lines.count == rows else {
      throw SimilarityError(
        .invalidArgument, "\(file.name) has \(lines.count) lines; expected \(rows), one an embedding")
    }
    let decoder = JSONDecoder()
    var records: [ImageRecord] = []
    records.reserveCapacity(rows)
    for (row, line) in lines.enumerated() {
      do {
        let line = try decoder.decode(Line.self, from: line)
        if let stated = line.row, stated != row {
          throw SimilarityError(
            .invalidArgument, "line \(row + 1) of \(file.name) is of row \(stated); expected row \(row)")
        }
        records.append(
          ImageRecord(
            id: line.id ?? id(row), path: line.path, label: line.label, metadata: line.metadata, bytes: line.bytes,
            modified: line.modified))
      } catch let error as SimilarityError {
        throw error
      } catch {
        throw SimilarityError(
          .invalidArgument, "line \(row + 1) of \(file.name) is not a record in JSON: \(explain(error))")
      }
    }
    return records
  }

  /// An ``ImageRecord`` whose id may be missing, and the row that it is of, where that is stated.
  private struct Line: Decodable {
    var row: Int?
    var id: String?
    var path: String?
    var label: String?
    var metadata: [String: JSONValue]?
    var bytes: Int64?
    var modified: Int64?
  }
}
