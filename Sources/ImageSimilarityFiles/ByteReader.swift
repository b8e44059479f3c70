/// Reads little-endian values from a range of a file, one after the other; nothing outside the range can be reached.
package struct ByteReader {
  private let file: MappedFile
  package private(set) var position: Int
  package let end: Int

  /// - Precondition: `range` lies within the file.
  package init(_ file: MappedFile, _ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.count, "a range within \(file.count) bytes")
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// The place of the next `count` bytes; the reader goes past them.
  package mutating func skip(_ count: Int) throws(FormatFailure) -> Range<Int> {
    guard count >= 0, count <= end - position else {
      throw FormatFailure("\(count) bytes were expected at byte \(position); found \(end - position)")
    }
    defer { position += count }
    return position..<position + count
  }

  package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) throws(FormatFailure)
    -> T
  {
    let range = try skip(MemoryLayout<T>.size)
    return unsafe T(littleEndian: file.bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self))
  }

  /// An unsigned integer that must not be larger than an `Int`.
  package mutating func count<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(FormatFailure) -> Int {
    let value = try integer(type)
    guard let count = Int(exactly: value) else { throw FormatFailure("\(value) is out of range at byte \(position)") }
    return count
  }

  package mutating func bytes(_ count: Int) throws(FormatFailure) -> [UInt8] {
    let range = try skip(count)
    return unsafe [UInt8](file.bytes[range])
  }

  /// The bytes up to the next line feed, which is skipped.
  package mutating func line(limit: Int) throws(FormatFailure) -> [UInt8] {
    var line: [UInt8] = []
    while line.count <= limit {
      let byte = try integer(UInt8.self)
      if byte == UInt8(ascii: "\n") { return line }
      line.append(byte)
    }
    throw FormatFailure("a line of at most \(limit) bytes was expected at byte \(position - line.count)")
  }
}
