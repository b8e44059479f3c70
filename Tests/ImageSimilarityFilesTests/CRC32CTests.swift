import CSimilarityKernels
import Testing

@Suite struct CRC32CTests {
  private static func checksums(_ bytes: ArraySlice<UInt8>, chunk: Int, portable: Bool) -> [UInt32] {
    var result = [UInt32](repeating: 0, count: (bytes.count + chunk - 1) / chunk)
    unsafe bytes.withUnsafeBufferPointer { bytes in
      guard let start = bytes.baseAddress else { return }
      if portable {
        unsafe imsim_crc32c_chunks_portable(start, bytes.count, chunk, &result)
      } else {
        unsafe imsim_crc32c_chunks(start, bytes.count, chunk, &result)
      }
    }
    return result
  }

  /// The check value of the catalogue of parametrised CRC algorithms, and the examples of RFC 3720, appendix B.4.
  @Test(arguments: [false, true]) func publishedValues(portable: Bool) {
    let examples: [([UInt8], UInt32)] = [
      (Array("123456789".utf8), 0xe306_9283),
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
      ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
      (Array(0..<32), 0x46dd_794e),
      (Array((0..<32).reversed()), 0x113f_db5c),
    ]
    for (bytes, checksum) in examples {
      #expect(Self.checksums(bytes[...], chunk: 64, portable: portable) == [checksum])
    }
  }

  /// Bit after bit, as the polynomial is defined.
  private static func reference(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82f6_3b78 : 0) }
    }
    return ~crc
  }

  @Test(arguments: [1, 7, 8, 24, 64]) func chunksOfAllLengthsAndAddresses(chunk: Int) {
    let bytes = (0..<700).map { UInt8(truncatingIfNeeded: $0 &* 181 ^ $0 >> 3) }
    for offset in 0..<9 {
      for count in [0, 1, 7, 8, 9, 63, 64, 255, 256, 257, 600, 691] {
        let part = bytes[offset..<offset + count]
        let expected = stride(from: offset, to: offset + count, by: chunk).map {
          Self.reference(bytes[$0..<min($0 + chunk, offset + count)])
        }
        #expect(Self.checksums(part, chunk: chunk, portable: false) == expected)
        #expect(Self.checksums(part, chunk: chunk, portable: true) == expected)
      }
    }
  }
}
