internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// When a photograph was taken, as the camera says: the EXIF fields DateTimeOriginal and SubSecTimeOriginal (EXIF 2.32,
/// 4.6.5) of a JPEG file.
///
/// Nothing in the file is trusted: all offsets are checked, and only the first 256 KiB are looked at.
enum CaptureTime {
  private static let bytesRead = 256 << 10

  /// Seconds since some moment that is the same for all pictures; nil where the file does not say.
  static func seconds(ofFileAt path: String) -> Double? {
    guard let file = try? MappedFile(contentsOf: URL(fileURLWithPath: path)) else { return nil }
    let head = file.withBytes { bytes in
      (0..<min(bytes.byteCount, bytesRead)).map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
    return seconds(in: head)
  }

  static func seconds(in jpeg: [UInt8]) -> Double? {
    guard jpeg.count > 4, jpeg[0] == 0xFF, jpeg[1] == 0xD8 else { return nil }
    var position = 2
    while position + 4 <= jpeg.count, jpeg[position] == 0xFF {
      let marker = jpeg[position + 1]
      let length = Int(jpeg[position + 2]) << 8 | Int(jpeg[position + 3])
      guard length >= 2, position + 2 + length <= jpeg.count, marker != 0xDA else { return nil }
      let segment = jpeg[position + 4..<position + 2 + length]
      if marker == 0xE1, segment.starts(with: [0x45, 0x78, 0x69, 0x66, 0, 0]) {
        return TIFFFields(Array(segment.dropFirst(6)))?.captureSeconds
      }
      position += 2 + length
    }
    return nil
  }
}

/// The directories of a TIFF file in memory, as far as the time of a photograph needs them.
private struct TIFFFields {
  private let bytes: [UInt8]
  private let isLittle: Bool

  init?(_ bytes: [UInt8]) {
    guard bytes.count >= 8 else { return nil }
    switch (bytes[0], bytes[1]) {
    case (0x49, 0x49): isLittle = true
    case (0x4D, 0x4D): isLittle = false
    default: return nil
    }
    self.bytes = bytes
  }

  var captureSeconds: Double? {
    guard let first = number(at: 4, count: 4), let pointer = entry(0x8769, inDirectoryAt: first),
      let exif = number(at: pointer + 8, count: 4), let original = entry(0x9003, inDirectoryAt: exif),
      let text = text(ofEntryAt: original)
    else { return nil }
    var fraction = 0.0
    if let entry = entry(0x9291, inDirectoryAt: exif), let digits = self.text(ofEntryAt: entry) {
      let digits = digits.prefix { $0.isASCII && $0.isNumber }
      fraction = Double("0.\(digits)") ?? 0
    }
    return Self.seconds(text).map { $0 + fraction }
  }

  /// Of `2024:05:17 18:03:59`.
  private static func seconds(_ text: String) -> Double? {
    let fields = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == " " }.map { Int($0) }
    guard fields.count >= 6, let year = fields[0], let month = fields[1], let day = fields[2], let hour = fields[3],
      let minute = fields[4], let second = fields[5], (1800...9999).contains(year), (1...12).contains(month),
      (1...31).contains(day), (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
    else { return nil }
    // The days of the Gregorian calendar, with the year beginning in March.
    let shifted = month <= 2 ? year - 1 : year
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear
    return Double(((days * 24 + hour) * 60 + minute) * 60 + second)
  }

  private func number(at offset: Int, count: Int) -> Int? {
    guard offset >= 0, offset <= bytes.count - count else { return nil }
    let part = bytes[offset..<offset + count]
    return isLittle ? part.reversed().reduce(0) { $0 << 8 | Int($1) } : part.reduce(0) { $0 << 8 | Int($1) }
  }

  /// Where an entry of a directory begins.
  private func entry(_ tag: Int, inDirectoryAt offset: Int) -> Int? {
    guard let count = number(at: offset, count: 2) else { return nil }
    return (0..<count).lazy.map { offset + 2 + 12 * $0 }.first { number(at: $0, count: 2) == tag }
  }

  private func text(ofEntryAt offset: Int) -> String? {
    guard number(at: offset + 2, count: 2) == 2, let count = number(at: offset + 4, count: 4), (1...64).contains(count)
    else { return nil }
    guard let start = count <= 4 ? offset + 8 : number(at: offset + 8, count: 4), start <= bytes.count - count else {
      return nil
    }
    return String(decoding: bytes[start..<start + count].prefix { $0 != 0 }, as: UTF8.self)
  }
}
