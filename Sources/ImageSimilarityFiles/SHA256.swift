internal import CSimilarityKernels

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// The hash function SHA-256 (FIPS 180-4), on the CPU's instructions for it where there are any.
public enum SHA256 {
  /// 64 lower-case hexadecimal digits.
  ///
  /// - Complexity: O(`file.count`)
  public static func hexDigest(of file: MappedFile) -> String {
    unsafe hexDigest(of: file.bytes, variant: .best)
  }

  /// 64 lower-case hexadecimal digits.
  ///
  /// - Complexity: O(`data.count`)
  public static func hexDigest(of data: Data) -> String {
    hexDigest(of: data, variant: .best)
  }

  package enum Variant: String, CaseIterable {
    case portable
    case native

    package var isAvailable: Bool { self == .portable || sim_sha256_native_available() }
    package static let best: Variant = native.isAvailable ? .native : .portable
  }

  package static func hexDigest(of data: Data, variant: Variant) -> String {
    unsafe data.withUnsafeBytes { bytes in unsafe hexDigest(of: bytes, variant: variant) }
  }

  private static func hexDigest(of bytes: UnsafeRawBufferPointer, variant: Variant) -> String {
    precondition(variant.isAvailable, "this CPU has no SHA-256 instructions")
    var digest = [UInt8](repeating: 0, count: 32)
    switch variant {
    case .portable: unsafe sim_sha256_portable(bytes.baseAddress, bytes.count, &digest)
    case .native: unsafe sim_sha256_native(bytes.baseAddress, bytes.count, &digest)
    }
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
