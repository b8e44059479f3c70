package import ImageSimilarityCore
package import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  package import FoundationEssentials
#else
  package import Foundation
#endif

/// A network in the ONNX format (onnx.ai, "Open Neural Network Exchange Intermediate Representation"), checked.
///
/// The file is mapped, and so are the external files that hold its larger tensors; they must lie in the file's folder or
/// below. Everything that the file says is checked when it is opened: nothing is allocated that its size does not account
/// for, and no tensor has more elements than there are bytes for.
package struct ONNXFile: Sendable {
  package let graph: ONNXGraph
  /// The file itself and the external files, each once, in the order in which the tensors name them.
  private let files: [MappedFile]

  /// The versions of ONNX's operators that this package knows.
  package static let opsets = 7...21

  /// The versions of the file format that can be read.
  static let formats = 3...13

  /// - Parameters:
  ///   - url: the file.
  ///   - opsets: the versions of ONNX's operators that are accepted.
  /// - Throws: ``SimilarityError/Code/weightsUnreadable`` where there is no file that may be read, or an external file is
  ///   missing; ``SimilarityError/Code/weightsCorrupt`` where the file is something else, or damaged;
  ///   ``SimilarityError/Code/weightsMismatch`` where it needs what is not supported.
  /// - Complexity: O(size of the file); external files are not read.
  package init(
    contentsOf url: URL, opsets: ClosedRange<Int> = Self.opsets
  ) throws(SimilarityError) {
    try self.init(ONNXFolder.map(url), opsets: opsets)
  }

  /// - Parameter file: a file; external files are looked for beside it.
  package init(_ file: MappedFile, opsets: ClosedRange<Int> = Self.opsets) throws(SimilarityError) {
    let model = try Onnx_ModelProto(reading: file)
    var reader = ONNXReader(file)
    graph = try reader.graph(model, opsets: opsets)
    files = [file] + reader.folder.files
  }

  /// SHA-256, 64 lower-case hexadecimal digits: of the file, or, where there are external files, of the digests of all files,
  /// one after the other.
  ///
  /// - Complexity: O(size of all files), every time.
  package var digest: String {
    let digests = files.map { SHA256.hexDigest(of: $0) }
    return digests.count == 1 ? digests[0] : SHA256.hexDigest(of: Data(digests.joined().utf8))
  }
}
