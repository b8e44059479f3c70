package import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A mapped file that has a checksum for each chunk of ``Checksums/chunkBytes``, and checks a chunk when it is used for the
/// first time.
///
/// `@unchecked Sendable`: `checked` is memory of atomic words, which lives as long as the object.
@safe package final class CheckedFile: @unchecked Sendable {
  let file: MappedFile
  /// The bytes that have checksums; the chunks begin with it.
  private let range: Range<Int>
  /// The file that holds the checksums, and where.
  private let table: (file: MappedFile, range: Range<Int>)
  private let proof: Proof
  private let tableIsChecked = Atomic(false)
  /// A bit a chunk.
  private let checked: UnsafeMutablePointer<Atomic<UInt64>>
  private let wordCount: Int

  /// What says that the checksums are those that were written.
  enum Proof {
    /// The SHA-256 of the header of a safetensors file and the checksums.
    case digest(String)
    /// The checksums lie in a file that has checksums itself.
    case checkedFile(CheckedFile)
  }

  /// A safetensors file whose last tensor, ``checksumsName``, has the checksums of all tensors before it.
  ///
  /// - Parameter digest: the SHA-256 of the header and the checksums.
  convenience init(_ tensors: SafetensorsFile, digest: String) throws(SimilarityError) {
    let start = tensors.tensors.first?.byteRange.lowerBound ?? 0
    guard let table = tensors[Self.checksumsName], table == tensors.tensors.last else {
      throw SimilarityError(.modelCorrupt, "\(tensors.file.name) is damaged: it has no checksums")
    }
    try self.init(
      tensors.file, range: start..<table.byteRange.lowerBound, table: (tensors.file, table.byteRange),
      proof: .digest(digest))
  }

  init(
    _ file: MappedFile, range: Range<Int>, table: (file: MappedFile, range: Range<Int>), proof: Proof
  ) throws(SimilarityError) {
    let count = Checksums.chunkCount(range.count)
    guard table.range.count == count * MemoryLayout<UInt32>.size else {
      throw SimilarityError(
        .modelCorrupt, "\(table.file.name) is damaged: expected \(count) checksums, found \(table.range.count) bytes")
    }
    self.file = file
    self.range = range
    self.table = table
    self.proof = proof
    wordCount = (count + 63) / 64
    unsafe checked = .allocate(capacity: wordCount)
    for word in 0..<wordCount { unsafe (checked + word).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe checked.deinitialize(count: wordCount)
    unsafe checked.deallocate()
  }

  static let checksumsName = "checksums"

  /// Throws ``SimilarityError/Code/modelCorrupt`` with the file and the damaged bytes unless the bytes are those that were
  /// written.
  ///
  /// - Precondition: `bytes` lie within the range that has checksums.
  /// - Complexity: O(1) a chunk that was checked before.
  package func verify(_ bytes: Range<Int>) throws(SimilarityError) {
    if bytes.isEmpty { return }
    precondition(
      bytes.lowerBound >= range.lowerBound && bytes.upperBound <= range.upperBound, "these bytes have no checksums")
    var chunk = (bytes.lowerBound - range.lowerBound) / Checksums.chunkBytes
    let last = (bytes.upperBound - 1 - range.lowerBound) / Checksums.chunkBytes
    while chunk <= last {
      let end = min(last, chunk | 63)
      let wanted = (UInt64.max >> UInt64(63 - (end & 63))) & (UInt64.max << UInt64(chunk & 63))
      if unsafe checked[chunk / 64].load(ordering: .acquiring) & wanted != wanted {
        try check(chunk...end, marking: wanted)
      }
      chunk = end + 1
    }
  }

  /// Checks all bytes, whether they were checked before or not.
  func verifyAgain() throws(SimilarityError) {
    for word in 0..<wordCount { unsafe checked[word].store(0, ordering: .releasing) }
    tableIsChecked.store(false, ordering: .releasing)
    if range.isEmpty { try checkTable() }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.residentBytes) {
      let part = start..<min(start + Self.residentBytes, range.upperBound)
      try verify(part)
      file.release(part)
    }
  }

  /// Pages that stay in memory at most while a whole file is read once.
  static let residentBytes = 8 << 20

  /// At most 64 chunks, whose bits lie in one word.
  private func check(_ chunks: ClosedRange<Int>, marking bits: UInt64) throws(SimilarityError) {
    try checkTable()
    let start = range.lowerBound + chunks.lowerBound * Checksums.chunkBytes
    let end = min(range.upperBound, range.lowerBound + (chunks.upperBound + 1) * Checksums.chunkBytes)
    let found = file.withBytes { Checksums.of($0.extracting(start..<end)) }
    for (offset, checksum) in found.enumerated() where checksum != expected(chunks.lowerBound + offset) {
      let first = start + offset * Checksums.chunkBytes
      throw damage("the bytes \(first)..<\(min(end, first + Checksums.chunkBytes)) are not those that were written")
    }
    unsafe checked[chunks.lowerBound / 64].bitwiseOr(bits, ordering: .acquiringAndReleasing)
  }

  private func expected(_ chunk: Int) -> UInt32 {
    let place = table.range.lowerBound + chunk * MemoryLayout<UInt32>.size
    return table.file.withBytes {
      unsafe UInt32(littleEndian: $0.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self))
    }
  }

  private func checkTable() throws(SimilarityError) {
    if tableIsChecked.load(ordering: .acquiring) { return }
    switch proof {
    case .digest(let digest):
      let found = table.file.withBytes { bytes in
        var data = Data()
        for part in [0..<range.lowerBound, table.range] {
          unsafe bytes.extracting(part).withUnsafeBytes { unsafe data.append(contentsOf: $0) }
        }
        return SHA256.hexDigest(of: data)
      }
      if found != digest { throw damage("its header or its checksums are not those that were written") }
    case .checkedFile(let other): try other.verify(table.range)
    }
    tableIsChecked.store(true, ordering: .releasing)
  }

  private func damage(_ problem: String) -> SimilarityError {
    SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(problem); 'imsim repair' removes what is damaged")
  }
}
