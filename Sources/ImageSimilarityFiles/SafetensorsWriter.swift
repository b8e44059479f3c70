public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Writes tensors in the safetensors format. The same tensors and metadata give the same bytes.
///
/// The elements of the first tensor begin at a multiple of 64 bytes. Tensors of wider elements come first, so that each one is
/// aligned to its element; among equals the order is that of ``add(_:_:)``.
public struct SafetensorsWriter: Sendable {
  public var metadata: [String: String]
  private var entries: [Entry] = []
  private var names: Set<String> = []

  private struct Entry {
    let name: String
    let type: SafetensorsFile.ElementType
    let elementSize: Int
    let shape: [Int]
    let contents: Contents
    let byteCount: Int
  }

  private enum Contents {
    case matrix(EmbeddingMatrix)
    case floats([Float])
    case data(Data)
  }

  public init(metadata: [String: String] = [:]) {
    self.metadata = metadata
  }

  /// Adds an F32 tensor of shape `[rows, dimension]`; its elements are shared, not copied.
  ///
  /// - Precondition: no other tensor has the name, and it is not `__metadata__`.
  public mutating func add(_ name: String, _ matrix: EmbeddingMatrix) {
    add(name, .f32, [matrix.rows, matrix.dimension], .matrix(matrix), byteCount: matrix.rows * matrix.dimension * 4)
  }

  /// Adds an F32 tensor.
  ///
  /// - Precondition: no other tensor has the name, it is not `__metadata__`, and `floats` has as many elements as the shape.
  public mutating func add(_ name: String, shape: [Int], floats: [Float]) {
    add(name, .f32, shape, .floats(floats), byteCount: floats.count * 4)
  }

  /// Adds a tensor of any known type from its elements' bytes, little-endian and row-major.
  ///
  /// - Precondition: no other tensor has the name, it is not `__metadata__`, the type is not
  ///   ``SafetensorsFile/ElementType/other(_:)``, and `bytes` has as many as type and shape say.
  public mutating func add(_ name: String, _ type: SafetensorsFile.ElementType, shape: [Int], bytes: Data) {
    add(name, type, shape, .data(bytes), byteCount: bytes.count)
  }

  /// The whole file in memory.
  public func data() -> Data {
    var data = header()
    for entry in ordered() {
      withBytes(of: entry) { bytes in unsafe bytes.withUnsafeBytes { unsafe data.append(contentsOf: $0) } }
    }
    return data
  }

  /// Writes the file, all at once and durably.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput``; what was at `url` is then as it was.
  public func write(to url: URL) throws(SimilarityError) {
    var file = try AtomicFile(url)
    try file.append(header().bytes)
    for entry in ordered() {
      try withBytes(of: entry) { bytes throws(SimilarityError) in try file.append(bytes) }
    }
    try file.commit()
  }

  private mutating func add(
    _ name: String, _ type: SafetensorsFile.ElementType, _ shape: [Int], _ contents: Contents, byteCount: Int
  ) {
    guard let elementSize = type.byteCount else {
      preconditionFailure("the size of an element of type \(type) is not known")
    }
    precondition(name != SafetensorsHeader.metadataName, "\(name) is not a name for a tensor")
    precondition(names.insert(name).inserted, "there is a tensor \(quoted(name)) already")
    precondition(
      shape.allSatisfy { $0 >= 0 }
        && elementCount(ofShape: shape)?.multipliedReportingOverflow(by: elementSize).0 == byteCount,
      "a tensor of type \(type) and shape \(shape) does not have \(byteCount) bytes")
    entries.append(
      Entry(
        name: name, type: type, elementSize: elementSize, shape: shape, contents: contents, byteCount: byteCount))
  }

  /// Wider elements first.
  private func ordered() -> [Entry] {
    entries.enumerated().sorted { ($1.element.elementSize, $0.offset) < ($0.element.elementSize, $1.offset) }
      .map(\.element)
  }

  private func withBytes<E: Error>(of entry: Entry, _ body: (RawSpan) throws(E) -> Void) throws(E) {
    switch entry.contents {
    case .matrix(let matrix): try matrix.withElements { elements throws(E) in try unsafe body(elements.bytes) }
    case .floats(let floats): try unsafe body(floats.span.bytes)
    case .data(let data): try body(data.bytes)
    }
  }

  private func header() -> Data {
    var layout = SafetensorsLayout(metadata: metadata)
    for entry in ordered() { layout.add(entry.name, entry.type, shape: entry.shape) }
    return layout.header
  }
}
