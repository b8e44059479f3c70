/// The table of contents of a zip archive (APPNOTE 6.3, with the Zip64 extension) whose entries are stored uncompressed.
struct ZipDirectory {
  struct Entry {
    let isPlain: Bool
    let size: Int
    let localHeader: Int
  }

  /// A table of contents is read into memory; this is enough for half a million entries.
  private static let maximumLength = 1 << 25

  private let file: MappedFile
  private(set) var entries: [String: Entry] = [:]

  init(_ file: MappedFile) throws(FormatFailure) {
    self.file = file
    let directory = try Self.centralDirectory(file)
    guard directory.count <= Self.maximumLength else {
      throw FormatFailure(
        "its archive's table of contents has \(directory.count) bytes; expected \(Self.maximumLength)")
    }
    var reader = ByteReader(file, directory)
    while reader.position < reader.end { try readEntry(&reader) }
  }

  /// The place of an entry's contents in the file.
  func contents(_ name: String) throws(FormatFailure) -> Range<Int> {
    guard let entry = entries[name] else { throw FormatFailure("its archive has no entry \(quoted(name))") }
    guard entry.isPlain else {
      throw FormatFailure("the archive's entry \(quoted(name)) is compressed or encrypted; expected a stored one")
    }
    guard entry.localHeader <= file.count else {
      throw FormatFailure("the archive's entry \(quoted(name)) begins beyond the end of the file")
    }
    var reader = ByteReader(file, entry.localHeader..<file.count)
    guard try reader.integer(UInt32.self) == 0x0403_4b50 else {
      throw FormatFailure("the archive's entry \(quoted(name)) has no local header at byte \(entry.localHeader)")
    }
    _ = try reader.skip(22)
    let nameLength = try reader.count(UInt16.self)
    let extraLength = try reader.count(UInt16.self)
    _ = try reader.skip(nameLength + extraLength)
    return try reader.skip(entry.size)
  }

  private mutating func readEntry(_ reader: inout ByteReader) throws(FormatFailure) {
    guard try reader.integer(UInt32.self) == 0x0201_4b50 else {
      throw FormatFailure("its archive's table of contents is damaged at byte \(reader.position - 4)")
    }
    _ = try reader.skip(4)
    let flags = try reader.integer(UInt16.self)
    let method = try reader.integer(UInt16.self)
    _ = try reader.skip(8)
    let packedSize = try reader.integer(UInt32.self)
    let size = try reader.integer(UInt32.self)
    let nameLength = try reader.count(UInt16.self)
    let extraLength = try reader.count(UInt16.self)
    let commentLength = try reader.count(UInt16.self)
    _ = try reader.skip(8)
    let localHeader = try reader.integer(UInt32.self)
    let name = String(decoding: try reader.bytes(nameLength), as: UTF8.self)
    let extra = try reader.skip(extraLength)
    _ = try reader.skip(commentLength)

    // Fields of the Zip64 extension are there, in this order, where the field they stand for has all bits set.
    var wide = try zip64Field(extra)
    let fullSize = size == .max ? try wide.count(UInt64.self) : Int(size)
    let fullPackedSize = packedSize == .max ? try wide.count(UInt64.self) : Int(packedSize)
    let fullLocalHeader = localHeader == .max ? try wide.count(UInt64.self) : Int(localHeader)

    let isPlain = method == 0 && flags & 1 == 0 && fullPackedSize == fullSize
    let entry = Entry(isPlain: isPlain, size: fullSize, localHeader: fullLocalHeader)
    guard entries.updateValue(entry, forKey: name) == nil else {
      throw FormatFailure("its archive has two entries \(quoted(name))")
    }
  }

  /// A reader of the Zip64 field among an entry's extra fields; of nothing where there is none.
  private func zip64Field(_ extra: Range<Int>) throws(FormatFailure) -> ByteReader {
    var reader = ByteReader(file, extra)
    while reader.end - reader.position >= 4 {
      let id = try reader.integer(UInt16.self)
      let contents = try reader.skip(try reader.count(UInt16.self))
      if id == 1 { return ByteReader(file, contents) }
    }
    return ByteReader(file, extra.upperBound..<extra.upperBound)
  }

  private static func centralDirectory(_ file: MappedFile) throws(FormatFailure) -> Range<Int> {
    let end = try endRecord(file)
    var reader = ByteReader(file, end..<file.count)
    _ = try reader.skip(12)
    var size = try reader.count(UInt32.self)
    var start = try reader.count(UInt32.self)
    if size == UInt32.max || start == UInt32.max {
      // The locator lies right before the end record; it tells where the Zip64 end record is.
      guard end >= 20 else { throw FormatFailure("its archive's Zip64 locator is missing") }
      var locator = ByteReader(file, end - 20..<end)
      guard try locator.integer(UInt32.self) == 0x0706_4b50 else {
        throw FormatFailure("its archive's Zip64 locator is missing")
      }
      _ = try locator.skip(4)
      let wideEnd = try locator.count(UInt64.self)
      guard wideEnd <= end else { throw FormatFailure("its archive's Zip64 end record is missing") }
      var wide = ByteReader(file, wideEnd..<end)
      guard try wide.integer(UInt32.self) == 0x0606_4b50 else {
        throw FormatFailure("its archive's Zip64 end record is missing")
      }
      _ = try wide.skip(36)
      size = try wide.count(UInt64.self)
      start = try wide.count(UInt64.self)
    }
    guard start <= end, size <= end - start else {
      throw FormatFailure("its archive's table of contents lies outside the file")
    }
    return start..<start + size
  }

  /// The place of the end of central directory record: 22 bytes and a comment of at most 64 KiB, at the file's end.
  private static func endRecord(_ file: MappedFile) throws(FormatFailure) -> Int {
    var position = file.count - 22
    while position >= max(0, file.count - 22 - 0xffff) {
      var reader = ByteReader(file, position..<file.count)
      if try reader.integer(UInt32.self) == 0x0605_4b50 { return position }
      position -= 1
    }
    throw FormatFailure("its archive has no table of contents: the file is cut short, or no archive")
  }
}
