public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Matrices as NumPy `.npy` files (NEP 1).
public enum NumPyFile {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// Writes `matrix` as float32, `[rows, dimension]`, all at once and durably.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput``; what was at `url` is then as it was.
  public static func write(_ matrix: EmbeddingMatrix, to url: URL) throws(SimilarityError) {
    var writer = try NumPyWriter(url, dimension: matrix.dimension)
    try writer.append(matrix)
    try writer.finish()
  }

  /// Reads a two-dimensional array of little-endian float32, float16 or float64 in C order.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the file cannot be read, ``SimilarityError/Code/invalidArgument``
  ///   where it is no such array.
  public static func read(contentsOf url: URL) throws(SimilarityError) -> EmbeddingMatrix {
    try read(MappedFile(contentsOf: url))
  }

  /// As ``read(contentsOf:)``.
  public static func read(_ file: MappedFile) throws(SimilarityError) -> EmbeddingMatrix {
    try read(file, mapping: false)
  }

  /// As ``read(contentsOf:)``, except that float32 elements stay where they are: the matrix keeps the file mapped, which
  /// must not be written to as long as it lives.
  ///
  /// - Complexity: O(1) where the elements are aligned, as NumPy writes them.
  package static func map(_ file: MappedFile) throws(SimilarityError) -> EmbeddingMatrix {
    try read(file, mapping: true)
  }

  private static func read(_ file: MappedFile, mapping: Bool) throws(SimilarityError) -> EmbeddingMatrix {
    try reading("NumPy", file, .invalidArgument) { () throws(FormatFailure) in
      let header = try file.withBytes { bytes throws(FormatFailure) in try NumPyHeader(bytes) }
      let elements = unsafe UnsafeRawBufferPointer(rebasing: file.bytes[header.dataStart...])
      let isAligned = UInt(bitPattern: elements.baseAddress) % UInt(MemoryLayout<Float>.alignment) == 0
      if mapping, header.type == .f32, isAligned, header.rows > 0 {
        return unsafe EmbeddingMatrix(
          rows: header.rows, dimension: header.dimension, elements: elements.assumingMemoryBound(to: Float.self),
          owner: file)
      }
      let values = unsafe header.type.floats(elements, count: header.rows * header.dimension)
      return EmbeddingMatrix(rows: header.rows, dimension: header.dimension, values: values)
    }
  }
}

/// The checked header of an `.npy` file that holds a matrix.
private struct NumPyHeader {
  let type: FloatType
  let rows: Int
  let dimension: Int
  let dataStart: Int

  /// - Parameter bytes: the whole file.
  init(_ bytes: RawSpan) throws(FormatFailure) {
    let prefix = unsafe bytes.extracting(first: 12).withUnsafeBytes { unsafe [UInt8]($0) }
    let magic = NumPyFile.magic
    guard prefix.count == 12, Array(prefix[..<magic.count]) == magic else {
      throw FormatFailure("expected the bytes 93 'NUMPY' at its beginning")
    }
    // Version 1 has a length of two bytes, versions 2 and 3 one of four.
    let lengthSize: Int
    switch prefix[6] {
    case 1: lengthSize = 2
    case 2, 3: lengthSize = 4
    default: throw FormatFailure("expected format version 1, 2 or 3; found \(prefix[6])")
    }
    let length = prefix[8..<8 + lengthSize].reversed().reduce(0) { $0 << 8 | Int($1) }
    dataStart = 8 + lengthSize + length
    // NumPy itself refuses longer headers.
    guard length <= 10_000, dataStart <= bytes.byteCount else {
      throw FormatFailure("its header has \(length) bytes; expected at most 10000, and all of them")
    }
    let text = unsafe bytes.extracting(8 + lengthSize..<dataStart).withUnsafeBytes {
      unsafe String(decoding: $0, as: UTF8.self)
    }
    var literal = PythonLiteral(text)
    let members = try literal.header()

    switch members.descriptor {
    case "<f4": type = .f32
    case "<f2": type = .f16
    case "<f8": type = .f64
    case let other: throw FormatFailure("expected elements of type <f4, <f2 or <f8; found \(quoted(other))")
    }
    guard !members.isFortranOrder else { throw FormatFailure("expected C order; found Fortran order") }
    let shape = members.shape
    guard shape.count == 2, shape[1] > 0, let count = elementCount(ofShape: shape) else {
      throw FormatFailure("expected the shape (rows, dimension); found \(shape.prefix(8))")
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: type.byteCount)
    guard !overflow, size == bytes.byteCount - dataStart else {
      throw FormatFailure(
        "\(bytes.byteCount - dataStart) bytes follow its header; expected \(shape[0]) x \(shape[1]) elements of "
          + "\(type.byteCount)")
    }
    rows = shape[0]
    dimension = shape[1]
  }
}

/// The Python dictionary in the header of an `.npy` file.
private struct PythonLiteral {
  private var rest: Substring

  init(_ text: String) { rest = text[...] }

  struct Header {
    var descriptor: String
    var isFortranOrder: Bool
    var shape: [Int]
  }

  mutating func header() throws(FormatFailure) -> Header {
    var descriptor: String?
    var isFortranOrder: Bool?
    var shape: [Int]?
    try expect("{")
    while !take("}") {
      let key = try string()
      try expect(":")
      switch key {
      case "descr" where descriptor == nil: descriptor = try string()
      case "fortran_order" where isFortranOrder == nil: isFortranOrder = try bool()
      case "shape" where shape == nil: shape = try integers()
      default:
        throw FormatFailure("its header has \(quoted(key)); expected descr, fortran_order and shape, once each")
      }
      if take("}") { break }
      try expect(",")
    }
    guard let descriptor, let isFortranOrder, let shape else {
      throw FormatFailure("its header lacks one of descr, fortran_order and shape")
    }
    return Header(descriptor: descriptor, isFortranOrder: isFortranOrder, shape: shape)
  }

  private mutating func string() throws(FormatFailure) -> String {
    for quote in ["'", "\""] where take(quote) {
      guard let end = rest.firstIndex(of: Character(quote)) else { break }
      defer { rest = rest[end...].dropFirst() }
      return String(rest[..<end])
    }
    throw unexpected("a string")
  }

  private mutating func bool() throws(FormatFailure) -> Bool {
    if take("False") { return false }
    if take("True") { return true }
    throw unexpected("True or False")
  }

  private mutating func integers() throws(FormatFailure) -> [Int] {
    var values: [Int] = []
    try expect("(")
    while !take(")") {
      skipSpace()
      let digits = rest.prefix { ("0"..."9").contains($0) }
      guard let value = Int(digits) else { throw unexpected("a non-negative integer") }
      values.append(value)
      rest = rest[digits.endIndex...]
      if take(")") { break }
      try expect(",")
    }
    return values
  }

  private mutating func skipSpace() { rest = rest.drop { $0 == " " } }

  private mutating func take(_ token: String) -> Bool {
    skipSpace()
    guard rest.hasPrefix(token) else { return false }
    rest = rest.dropFirst(token.count)
    return true
  }

  private mutating func expect(_ token: String) throws(FormatFailure) {
    if !take(token) { throw unexpected("'\(token)'") }
  }

  private func unexpected(_ expected: String) -> FormatFailure {
    FormatFailure("expected \(expected) in its header; found \(quoted(String(rest.prefix(16))))")
  }
}
