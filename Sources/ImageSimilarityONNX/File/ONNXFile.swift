import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// A network in the ONNX format, checked.
package struct ONNXFile: Sendable {
  package let graph: ONNXGraph
  /// SHA-256 over the file and the external files that it names, in the order in which it names them, 64 lower-case
  /// hexadecimal digits.
  package let digest: String
}
