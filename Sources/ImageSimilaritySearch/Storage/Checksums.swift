import CSimilarityKernels

/// CRC-32C (Castagnoli) of each chunk of some bytes.
enum Checksums {
  /// 16 KiB.
  static let chunkBytes = 1 << 14

  static func chunkCount(_ bytes: Int) -> Int { (bytes + chunkBytes - 1) / chunkBytes }

  /// One a chunk, the last of what is left.
  static func of(_ bytes: RawSpan) -> [UInt32] {
    let count = chunkCount(bytes.byteCount)
    var checksums = [UInt32](repeating: 0, count: count)
    unsafe bytes.withUnsafeBytes { bytes in
      guard let start = unsafe bytes.assumingMemoryBound(to: UInt8.self).baseAddress else { return }
      unsafe imsim_crc32c_chunks(start, bytes.count, chunkBytes, &checksums)
    }
    return checksums
  }
}
