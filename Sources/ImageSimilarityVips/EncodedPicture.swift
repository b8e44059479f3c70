import CVipsShim
import ImageSimilarityCore

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// An encoded picture that libvips has opened: the one door to the shim's handle.
@safe struct EncodedPicture: ~Copyable {
  private let handle: OpaquePointer
  let format: String
  let encodedBytes: Int

  /// Calls `body` with the picture in the file at `url`, read as `body` decodes.
  static func withPicture<R>(
    at url: URL, limits: DecodingLimits, _ body: (borrowing EncodedPicture) throws(DecodingFailure) -> R
  ) throws(DecodingFailure) -> R {
    var size: Int64 = 0
    var descriptor: Int32 = -1
    let opened = unsafe CallResult { message, capacity in
      descriptor = unsafe url.withUnsafeFileSystemRepresentation { path in
        guard let path = unsafe path else { return -1 }
        return unsafe cvips_file_open(path, &size, message, capacity)
      }
      return descriptor < 0 ? CVIPS_UNREADABLE : CVIPS_OK
    }
    guard opened.status == CVIPS_OK else {
      throw DecodingFailure(.imageUnreadable, opened.reason.isEmpty ? "it is not a file's address" : opened.reason)
    }
    defer { cvips_file_close(descriptor) }
    let picture = unsafe try open(descriptor, nil, Int(size), limits)
    return try body(picture)
  }

  /// Calls `body` with the picture in `data`.
  static func withPicture<R>(
    in data: Data, limits: DecodingLimits, _ body: (borrowing EncodedPicture) throws(DecodingFailure) -> R
  ) throws(DecodingFailure) -> R {
    try unsafe data.bytes.withUnsafeBytes { (bytes) throws(DecodingFailure) in
      let picture = unsafe try open(-1, bytes.baseAddress, bytes.count, limits)
      return try body(picture)
    }
  }

  private static func open(
    _ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ limits: DecodingLimits
  ) throws(DecodingFailure) -> EncodedPicture {
    guard count > 0 else { throw DecodingFailure(.imageCorrupt, "it is empty") }
    guard count <= limits.encodedBytes else {
      throw DecodingFailure(.imageTooLarge, "\(count) bytes are more than the limit of \(limits.encodedBytes)")
    }
    var opened: OpaquePointer?
    let deadline = Self.deadline(limits)
    let result = unsafe CallResult { message, capacity in
      unsafe cvips_picture_open(descriptor, bytes, Int64(count), deadline, &opened, message, capacity)
    }
    guard let handle = unsafe opened else { throw DecodingFailure(.imageTooLarge, "there is no memory to open it") }
    let picture = unsafe EncodedPicture(handle, encodedBytes: count)
    try DecodingFailure.check(result, limits)
    return picture
  }

  private init(_ handle: OpaquePointer, encodedBytes: Int) {
    unsafe self.handle = handle
    self.format = unsafe String(cString: cvips_picture_format(handle))
    self.encodedBytes = encodedBytes
  }

  deinit { unsafe cvips_picture_close(handle) }

  /// The clock starts again.
  func restartClock(_ limits: DecodingLimits) {
    unsafe cvips_picture_set_deadline(handle, Self.deadline(limits))
  }

  private static func deadline(_ limits: DecodingLimits) -> Int64 {
    let (seconds, attoseconds) = limits.duration.components
    let (microseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    let (deadline, late) = cvips_now().addingReportingOverflow(microseconds + attoseconds / 1_000_000_000_000)
    return overflow || late ? .max : deadline
  }

  /// The header of the picture, shrunk while loading.
  func header(shrink: Int, _ limits: DecodingLimits) throws(DecodingFailure) -> cvips_header {
    var header = cvips_header()
    let result = unsafe CallResult { unsafe cvips_picture_header(handle, Int32(shrink), &header, $0, $1) }
    try DecodingFailure.check(result, limits)
    return header
  }

  /// Writes the pixels of the picture whose header was read last, as they are stored, into `target`.
  func decode(
    _ x: cvips_axis, _ y: cvips_axis, over background: RGBColor, into target: PixelRows, _ limits: DecodingLimits
  ) throws(DecodingFailure) {
    let color = [background.red, background.green, background.blue]
    let result = unsafe CallResult { message, capacity in
      unsafe cvips_picture_decode(handle, x, y, color, target.start, Int64(target.rowBytes), message, capacity)
    }
    try DecodingFailure.check(result, limits)
  }
}

/// Why a picture was not decoded, before it is known whose picture it is.
struct DecodingFailure: Error {
  let code: SimilarityError.Code
  let reason: String

  init(_ code: SimilarityError.Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  static let unsupported = DecodingFailure(
    .imageUnsupported, "it is in no format that is known and trusted (JPEG, PNG, WebP, TIFF, GIF, HEIF)")

  static func check(_ result: CallResult, _ limits: DecodingLimits) throws(DecodingFailure) {
    switch result.status {
    case CVIPS_OK: return
    case CVIPS_TIMEOUT: throw DecodingFailure(.imageTooLarge, "decoding takes longer than \(limits.duration)")
    case CVIPS_MEMORY: throw DecodingFailure(.imageTooLarge, "there is not enough memory")
    case CVIPS_UNREADABLE: throw DecodingFailure(.imageUnreadable, "reading the file failed")
    case CVIPS_UNSUPPORTED: throw unsupported
    case CVIPS_UNAVAILABLE: throw DecodingFailure(.imageUnsupported, "libvips does not start: \(result.reason)")
    default: throw DecodingFailure(.imageCorrupt, result.reason.isEmpty ? "it is damaged" : result.reason)
    }
  }
}
