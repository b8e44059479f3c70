import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Writes a safetensors file and, as its last tensor, the checksums of the others. Memory does not grow with the file.
struct CheckedFileWriter: ~Copyable {
  private var file: AtomicFile
  private let url: URL
  private let header: Data
  private let dataBytes: Int
  private var pending: [UInt8] = []
  private var checksums: [UInt32] = []
  private var appended = 0

  private static let pendingBytes = 64 * Checksums.chunkBytes

  init(
    _ url: URL, _ tensors: [(name: String, type: SafetensorsFile.ElementType, shape: [Int])]
  ) throws(SimilarityError) {
    var layout = SafetensorsLayout()
    for tensor in tensors { layout.add(tensor.name, tensor.type, shape: tensor.shape) }
    let dataBytes = layout.byteCount
    layout.add(CheckedFile.checksumsName, .u32, shape: [Checksums.chunkCount(dataBytes)])
    let header = layout.header
    var file = try AtomicFile(url)
    try file.append(header.bytes)
    self.file = file
    self.url = url
    self.header = header
    self.dataBytes = dataBytes
  }

  /// The next bytes of the tensors, in the order in which they were named.
  mutating func append(_ bytes: RawSpan) throws(SimilarityError) {
    appended += bytes.byteCount
    var rest = bytes
    while rest.byteCount > 0 {
      let part = min(rest.byteCount, Self.pendingBytes - pending.count)
      unsafe rest.extracting(first: part).withUnsafeBytes { unsafe pending.append(contentsOf: $0) }
      rest = rest.extracting(droppingFirst: part)
      if pending.count == Self.pendingBytes { try flush() }
    }
  }

  mutating func append<Element: BitwiseCopyable>(_ elements: Span<Element>) throws(SimilarityError) {
    try append(unsafe elements.bytes)
  }

  /// Writes the checksums and brings the file to the disk under its name.
  consuming func commit() throws(SimilarityError) -> Manifest.CheckedFile {
    precondition(appended == dataBytes, "the tensors of \(url.lastPathComponent) are not complete")
    try flush()
    let table = unsafe checksums.withUnsafeBytes { unsafe Data($0) }
    try file.append(table.bytes)
    let entry = Manifest.CheckedFile(
      file: url.lastPathComponent, bytes: header.count + dataBytes + table.count,
      digest: SHA256.hexDigest(of: header + table))
    try file.commit()
    return entry
  }

  private mutating func flush() throws(SimilarityError) {
    var bytes: [UInt8] = []
    swap(&bytes, &pending)
    checksums += Checksums.of(unsafe bytes.span.bytes)
    try file.append(unsafe bytes.span.bytes)
    bytes.removeAll(keepingCapacity: true)
    swap(&bytes, &pending)
  }
}
