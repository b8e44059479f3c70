import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A set of rows: bit `row % 8` of byte `row / 8` is 1 where the row belongs to it.
struct RowBitmap: Sendable {
  static let suffix = ".removed"

  private(set) var bytes: [UInt8]
  private(set) var count = 0

  init(rows: Int) { bytes = [UInt8](repeating: 0, count: (rows + 7) / 8) }

  /// nil where there are more or fewer bytes than that many rows need, or bits beyond them.
  init?(_ data: Data, rows: Int) {
    guard data.count == (rows + 7) / 8 else { return nil }
    bytes = [UInt8](data)
    if rows % 8 != 0, let last = bytes.last, last >> UInt8(rows % 8) != 0 { return nil }
    count = bytes.reduce(0) { $0 + $1.nonzeroBitCount }
  }

  func contains(_ row: Int) -> Bool { bytes[row / 8] >> UInt8(row % 8) & 1 != 0 }

  /// - Precondition: the row does not belong to the set yet.
  mutating func insert(_ row: Int) {
    precondition(!contains(row), "a row is removed once")
    bytes[row / 8] |= 1 << UInt8(row % 8)
    count += 1
  }
}
