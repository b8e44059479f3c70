public import ImageSimilarityCore

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A network's weights by name: a safetensors file, or a state dictionary that PyTorch's `torch.save` wrote (`.pth`, `.pt`).
///
/// What a file is, its contents tell, not its name. It is mapped and checked when it is opened; nothing in it is executed. Of
/// a PyTorch checkpoint, the entry `state_dict`, `model_state_dict` or `model` is taken, and where all names begin with
/// `module.`, they lose it.
public struct WeightsFile: Sendable {
  public let file: MappedFile
  /// The names of all tensors, in the file's order.
  public let names: [String]
  private let tensors: [String: WeightTensor]

  /// - Throws: ``SimilarityError/Code/weightsUnreadable`` where there is no file that may be read,
  ///   ``SimilarityError/Code/weightsCorrupt`` where it is something else than weights, or damaged.
  public init(contentsOf url: URL) throws(SimilarityError) {
    let file: MappedFile
    do {
      file = try MappedFile(contentsOf: url)
    } catch {
      throw SimilarityError(.weightsUnreadable, error.message)
    }
    try self.init(file)
  }

  /// - Throws: ``SimilarityError/Code/weightsCorrupt``.
  public init(_ file: MappedFile) throws(SimilarityError) {
    let start = file.withBytes { unsafe $0.extracting(first: 16).withUnsafeBytes { unsafe Array($0) } }
    let tensors: [WeightTensor]
    if start.starts(with: PyTorchFile.zipMagic) {
      tensors = try reading("PyTorch", file, .weightsCorrupt) { () throws(FormatFailure) in
        try PyTorchFile.tensors(zip: file)
      }
    } else if start.starts(with: PyTorchFile.legacyMagic) {
      tensors = try reading("PyTorch", file, .weightsCorrupt) { () throws(FormatFailure) in
        try PyTorchFile.tensors(legacy: file)
      }
    } else if start.count > 8, start[8] == UInt8(ascii: "{") {
      tensors = try SafetensorsFile(file).tensors.map(WeightTensor.init)
    } else {
      let bytes = start.map { String($0, radix: 16) }.joined(separator: " ")
      throw SimilarityError(
        .weightsCorrupt,
        "\(file.name) is no weights file: expected safetensors, or a state dictionary that PyTorch's torch.save wrote; "
          + "found \(file.count) bytes that begin with \(bytes) (\(quoted(String(decoding: start, as: UTF8.self))))")
    }
    self.file = file
    names = tensors.map(\.name)
    self.tensors = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
  }

  /// Weights that are part of the program: memory that is never freed and never changes.
  @unsafe public init(bytes: UnsafeRawBufferPointer, name: String) throws(SimilarityError) {
    try self.init(unsafe MappedFile(bytes: bytes, name: name))
  }

  /// The shape of a tensor, empty for a single number; nil where there is no tensor of that name.
  public func shape(of name: String) -> [Int]? { tensors[name]?.shape }

  /// The elements of a tensor as single precision, row-major.
  ///
  /// - Throws: ``SimilarityError/Code/weightsMismatch`` where there is no such tensor, or its elements are no floating-point
  ///   numbers.
  /// - Complexity: O(elements)
  public func floats(_ name: String) throws(SimilarityError) -> [Float] {
    guard let tensor = tensors[name] else {
      throw SimilarityError(.weightsMismatch, "\(file.name) has no tensor \(quoted(name))")
    }
    guard let floats = tensor.floats(in: file) else {
      throw SimilarityError(
        .weightsMismatch,
        "tensor \(quoted(name)) of \(file.name) has elements of type \(tensor.elementType); expected floating-point numbers"
      )
    }
    return floats
  }

  /// SHA-256 of the whole file, 64 lower-case hexadecimal digits.
  ///
  /// - Complexity: O(`file.count`), every time.
  public var digest: String { SHA256.hexDigest(of: file) }
}
