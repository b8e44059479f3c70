public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A file in the safetensors format, mapped into memory and checked.
///
/// The format: the header's length (8 bytes, little-endian), the header (a JSON object that gives each tensor's element type,
/// shape and place), and the tensors' elements, row-major, without gaps and overlaps. Everything that the header says is
/// checked when the file is opened, and nothing is allocated that the header's size does not account for.
public struct SafetensorsFile: Sendable {
  public let file: MappedFile
  /// All tensors, in the order of their places in the file.
  public let tensors: [Tensor]
  /// The header's `__metadata__`.
  public let metadata: [String: String]

  private let indexByName: [String: Int]
  private let errorCode: SimilarityError.Code

  /// The names of the format's element types are the cases' in upper case.
  public enum ElementType: Sendable, Hashable {
    case f64, f32, f16, bf16
    case i64, i32, i16, i8
    case u64, u32, u16, u8
    case bool
    /// A type that this reader has no name for: its tensors can be listed, not read.
    case other(String)
  }

  public struct Tensor: Sendable, Hashable {
    public let name: String
    public let elementType: ElementType
    /// Empty for a single number.
    public let shape: [Int]
    /// Place of the elements in the file.
    public let byteRange: Range<Int>
    /// Product of the shape.
    public let elementCount: Int
  }

  /// - Parameter errorCode: the code of all errors about the contents.
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the file cannot be read, `errorCode` where it breaks the format's
  ///   rules.
  public init(contentsOf url: URL, errorCode: SimilarityError.Code = .weightsCorrupt) throws(SimilarityError) {
    try self.init(MappedFile(contentsOf: url), errorCode: errorCode)
  }

  /// - Parameter errorCode: the code of all errors about the contents.
  public init(_ file: MappedFile, errorCode: SimilarityError.Code = .weightsCorrupt) throws(SimilarityError) {
    let header = try reading("safetensors", file, errorCode) { () throws(FormatFailure) in
      try file.withBytes { bytes throws(FormatFailure) in try SafetensorsHeader(bytes) }
    }
    self.file = file
    self.errorCode = errorCode
    tensors = header.tensors
    metadata = header.metadata
    indexByName = Dictionary(uniqueKeysWithValues: zip(header.tensors.map(\.name), header.tensors.indices))
  }

  /// The tensor of a name, if there is one.
  public subscript(name: String) -> Tensor? { indexByName[name].map { tensors[$0] } }

  /// The elements of a tensor of type F32, F16, BF16 or F64 as single precision, row-major.
  ///
  /// - Precondition: `tensor` is one of this file's.
  /// - Complexity: O(`tensor.elementCount`)
  public func floats(_ tensor: Tensor) throws(SimilarityError) -> [Float] {
    guard let type = FloatType(tensor.elementType) else {
      throw error(tensor, "has elements of type \(tensor.elementType); expected F32, F16, BF16 or F64")
    }
    return unsafe type.floats(elements(tensor), count: tensor.elementCount)
  }

  /// A two-dimensional tensor of type F32 as a matrix over the mapped memory, which the matrix keeps alive.
  ///
  /// - Precondition: `tensor` is one of this file's.
  /// - Complexity: O(1)
  public func matrix(_ tensor: Tensor) throws(SimilarityError) -> EmbeddingMatrix {
    guard tensor.elementType == .f32, tensor.shape.count == 2, tensor.shape[1] > 0 else {
      throw error(tensor, "is \(tensor.elementType) \(tensor.shape); expected F32 of shape [rows, dimension]")
    }
    if tensor.elementCount == 0 { return EmbeddingMatrix(rows: 0, dimension: tensor.shape[1], values: []) }
    let bytes = unsafe elements(tensor)
    guard UInt(bitPattern: bytes.baseAddress) % UInt(MemoryLayout<Float>.alignment) == 0 else {
      throw error(tensor, "begins at byte \(tensor.byteRange.lowerBound); expected a multiple of 4")
    }
    return unsafe EmbeddingMatrix(
      rows: tensor.shape[0], dimension: tensor.shape[1], elements: bytes.assumingMemoryBound(to: Float.self),
      owner: file)
  }

  /// The elements of a tensor in the mapped memory, which ``file`` keeps alive.
  ///
  /// - Precondition: `tensor` is one of this file's.
  @unsafe package func elements<Element: BitwiseCopyable>(
    _ tensor: Tensor, _ type: ElementType, as: Element.Type
  ) throws(SimilarityError) -> UnsafeBufferPointer<Element> {
    guard tensor.elementType == type, type.byteCount == MemoryLayout<Element>.size else {
      throw error(tensor, "has elements of type \(tensor.elementType); expected \(type)")
    }
    let bytes = unsafe elements(tensor)
    guard UInt(bitPattern: bytes.baseAddress) % UInt(MemoryLayout<Element>.alignment) == 0 else {
      throw error(
        tensor,
        "begins at byte \(tensor.byteRange.lowerBound); expected a multiple of \(MemoryLayout<Element>.alignment)")
    }
    return unsafe bytes.assumingMemoryBound(to: Element.self)
  }

  /// The one door to a tensor's memory.
  private func elements(_ tensor: Tensor) -> UnsafeRawBufferPointer {
    precondition(tensor.byteRange.upperBound <= file.count, "the tensor belongs to another file")
    return unsafe UnsafeRawBufferPointer(rebasing: file.bytes[tensor.byteRange])
  }

  private func error(_ tensor: Tensor, _ problem: String) -> SimilarityError {
    SimilarityError(errorCode, "tensor \(quoted(tensor.name)) of \(file.name) \(problem)")
  }
}

extension SafetensorsFile.ElementType: CustomStringConvertible {
  private static let named: [(String, SafetensorsFile.ElementType, Int)] = [
    ("F64", .f64, 8), ("F32", .f32, 4), ("F16", .f16, 2), ("BF16", .bf16, 2),
    ("I64", .i64, 8), ("I32", .i32, 4), ("I16", .i16, 2), ("I8", .i8, 1),
    ("U64", .u64, 8), ("U32", .u32, 4), ("U16", .u16, 2), ("U8", .u8, 1),
    ("BOOL", .bool, 1),
  ]

  init(name: String) {
    self = Self.named.first { $0.0 == name }?.1 ?? .other(name)
  }

  /// Bytes of one element, where the type is known.
  public var byteCount: Int? { Self.named.first { $0.1 == self }?.2 }

  /// The format's name for the type.
  public var description: String {
    if case .other(let name) = self { quoted(name) } else { Self.named.first { $0.1 == self }?.0 ?? "" }
  }
}
