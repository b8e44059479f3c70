import ImageSimilarityCore
import ImageSimilarityFiles

/// Which rows a text may belong to: the hashes of the texts, ascending, and a row each.
struct TextTable: Sendable {
  private let hashes: CheckedColumn<UInt64>
  private let rows: CheckedColumn<UInt32>

  static func hashesName(_ name: String) -> String { name + "_hashes" }
  static func rowsName(_ name: String) -> String { name + "_rows" }

  init(_ name: String, in tensors: SafetensorsFile, _ file: CheckedFile) throws(SimilarityError) {
    hashes = try CheckedColumn(Self.hashesName(name), .u64, in: tensors, file)
    rows = try CheckedColumn(Self.rowsName(name), .u32, count: hashes.count, in: tensors, file)
  }

  /// FNV-1a, 64 bits, of the UTF-8 bytes.
  static func hash(_ text: String) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }

  /// The rows whose texts have the hash of `text`: nearly always none or those of the text itself.
  ///
  /// - Complexity: O(log(rows))
  func candidates(_ text: String) throws(SimilarityError) -> [Int] {
    let hash = Self.hash(text)
    var low = 0
    var high = hashes.count
    while low < high {
      let middle = (low + high) / 2
      if try hashes[middle] < hash { low = middle + 1 } else { high = middle }
    }
    var found: [Int] = []
    while low < hashes.count, try hashes[low] == hash {
      found.append(Int(try rows[low]))
      low += 1
    }
    return found
  }

  /// The hash of each row; nil where the row has no text.
  func hashesByRow(_ count: Int) throws(SimilarityError) -> [UInt64?] {
    var result = [UInt64?](repeating: nil, count: count)
    for index in 0..<hashes.count {
      let row = Int(try rows[index])
      if row < count { result[row] = try hashes[index] }
    }
    return result
  }
}
