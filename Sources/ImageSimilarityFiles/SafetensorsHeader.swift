/// The checked header of a safetensors file.
struct SafetensorsHeader {
  /// The reference implementation refuses longer ones.
  static let maximumLength = 100_000_000
  static let maximumRank = 64
  static let metadataName = "__metadata__"

  private(set) var tensors: [SafetensorsFile.Tensor] = []
  private(set) var metadata: [String: String] = [:]

  /// - Parameter bytes: the whole file.
  init(_ bytes: RawSpan) throws(FormatFailure) {
    guard bytes.byteCount >= 8 else {
      throw FormatFailure("expected at least 8 bytes; found \(bytes.byteCount)")
    }
    let length = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(as: UInt64.self))
    let available = bytes.byteCount - 8
    guard length <= available else {
      throw FormatFailure("its header should have \(length) bytes, and only \(available) follow")
    }
    guard length <= Self.maximumLength else {
      throw FormatFailure("its header has \(length) bytes; expected at most \(Self.maximumLength)")
    }
    let dataStart = 8 + Int(length)
    let text = unsafe bytes.extracting(8..<dataStart).withUnsafeBytes { unsafe [UInt8]($0) }
    guard text.first == UInt8(ascii: "{") else {
      throw FormatFailure("expected a header that begins with '{' at byte 8")
    }
    try parse(JSONScanner(text), dataStart: dataStart, dataCount: bytes.byteCount - dataStart)
    try checkPlaces(dataStart..<bytes.byteCount)
  }

  private mutating func parse(
    _ scanner: consuming JSONScanner, dataStart: Int, dataCount: Int
  ) throws(FormatFailure) {
    var names: Set<String> = []
    var tensors: [SafetensorsFile.Tensor] = []
    var metadata: [String: String] = [:]
    try scanner.object { scanner, name throws(FormatFailure) in
      guard names.insert(name).inserted else { throw FormatFailure("the name \(quoted(name)) appears twice") }
      if name == Self.metadataName {
        try scanner.object { scanner, key throws(FormatFailure) in
          guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
            throw FormatFailure("its metadata have \(quoted(key)) twice")
          }
        }
      } else {
        tensors.append(try Self.tensor(name, &scanner, dataStart: dataStart, dataCount: dataCount))
      }
    }
    try scanner.end()
    self.tensors = tensors
    self.metadata = metadata
  }

  private static func tensor(
    _ name: String, _ scanner: inout JSONScanner, dataStart: Int, dataCount: Int
  ) throws(FormatFailure) -> SafetensorsFile.Tensor {
    var typeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { scanner, key throws(FormatFailure) in
      switch key {
      case "dtype" where typeName == nil: typeName = try scanner.string()
      case "shape" where shape == nil: shape = try scanner.integers(limit: maximumRank)
      case "data_offsets" where offsets == nil: offsets = try scanner.integers(limit: 2)
      default:
        throw FormatFailure(
          "tensor \(quoted(name)) has \(quoted(key)); expected dtype, shape and data_offsets, once each")
      }
    }
    guard let typeName, let shape, let offsets else {
      throw FormatFailure("tensor \(quoted(name)) lacks one of dtype, shape and data_offsets")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1], offsets[1] <= dataCount else {
      throw FormatFailure(
        "tensor \(quoted(name)) is at \(offsets.prefix(4)); expected a beginning and an end within \(dataCount) bytes")
    }
    guard let count = elementCount(ofShape: shape) else {
      throw FormatFailure("tensor \(quoted(name)) has more elements than can be counted")
    }
    let type = SafetensorsFile.ElementType(name: typeName)
    if let byteCount = type.byteCount {
      let (expected, overflow) = count.multipliedReportingOverflow(by: byteCount)
      guard !overflow, expected == offsets[1] - offsets[0] else {
        throw FormatFailure(
          "tensor \(quoted(name)) has \(offsets[1] - offsets[0]) bytes; expected \(count) elements of \(byteCount)")
      }
    }
    return SafetensorsFile.Tensor(
      name: name, elementType: type, shape: shape, byteRange: dataStart + offsets[0]..<dataStart + offsets[1],
      elementCount: count)
  }

  /// Sorts the tensors by place, and checks that they fill all of `data` without gaps and overlaps.
  private mutating func checkPlaces(_ data: Range<Int>) throws(FormatFailure) {
    tensors.sort {
      ($0.byteRange.lowerBound, $0.byteRange.upperBound, $0.name)
        < ($1.byteRange.lowerBound, $1.byteRange.upperBound, $1.name)
    }
    var position = data.lowerBound
    for tensor in tensors {
      guard tensor.byteRange.lowerBound == position else {
        throw FormatFailure(
          "tensor \(quoted(tensor.name)) begins at byte \(tensor.byteRange.lowerBound) of the file; expected \(position), "
            + "where the one before it ends")
      }
      position = tensor.byteRange.upperBound
    }
    guard position == data.upperBound else {
      throw FormatFailure("its tensors end at byte \(position); expected the end of the file, \(data.upperBound)")
    }
  }
}
