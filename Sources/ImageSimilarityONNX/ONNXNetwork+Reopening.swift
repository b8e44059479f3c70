public import ImageSimilarityCore
internal import ImageSimilarityNN

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ONNXNetwork {
  /// Whether an ONNX file's network made the embeddings.
  public static func made(_ specification: ExtractorSpecification) -> Bool {
    specification.fingerprint.architecture == architecture
  }

  /// Makes the extractor of a model again, from the file that it was made from; nil where that was no ONNX file.
  ///
  /// Give it to `SimilarityModel.Options` as what makes extractors.
  ///
  /// - Throws: ``SimilarityError/Code/fingerprintMismatch`` where the file is not known, or has other contents; what
  ///   ``init(contentsOf:outputTensor:inputSize:preprocessing:)`` does.
  public static func extractor(
    for specification: ExtractorSpecification
  ) throws(SimilarityError) -> (any FeatureExtractor)? {
    guard made(specification) else { return nil }
    let fingerprint = specification.fingerprint
    guard let path = specification.weightsPath, let precision = Precision(fingerprint: fingerprint.precision),
      let preprocessing = Preprocessing(rawValue: fingerprint.preprocessing)
    else {
      throw SimilarityError(
        .fingerprintMismatch,
        "the ONNX network (\(fingerprint)) is not known any more; open the model with its extractor")
    }
    let network = try ONNXNetwork(
      contentsOf: URL(fileURLWithPath: path), outputTensor: fingerprint.layer, inputSize: specification.input.size,
      preprocessing: preprocessing)
    return try NetworkExtractor(
      network, resize: specification.input.resize, precision: precision,
      calibration: Calibration(storedIn: specification))
  }
}
