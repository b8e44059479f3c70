internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Ids that are the numbers of a matrix's rows: decimal, of one length, so that their order is that of the rows.
struct RowNumbers {
  let ids: [String]

  init(count: Int) {
    let length = String(max(count - 1, 0)).count
    ids = (0..<count).map { row in
      let digits = String(row)
      return String(repeating: "0", count: length - digits.count) + digits
    }
  }

  /// The row that an id of these stands for.
  static func row(_ id: String) -> Int {
    guard let row = Int(id) else { preconditionFailure("the ids of an index over rows are numbers") }
    return row
  }

  /// Writes the rows of the hits as a NumPy array: int64, `[queries, k]`, -1 where there are fewer.
  static func write(_ hits: [[Neighbor]], k: Int, to url: URL) throws(SimilarityError) {
    var values: [Int64] = []
    values.reserveCapacity(hits.count * k)
    for hits in hits {
      values += hits.map { Int64(row($0.id)).littleEndian }
      values += repeatElement(-1, count: k - hits.count)
    }
    var header = "{'descr': '<i8', 'fortran_order': False, 'shape': (\(hits.count), \(k)), }"
    header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    let prefix: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8)
    var file = try AtomicFile(url)
    try unsafe file.append(prefix.span.bytes)
    try unsafe file.append(values.span.bytes)
    try file.commit()
  }
}
