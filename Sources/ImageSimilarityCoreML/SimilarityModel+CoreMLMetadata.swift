internal import ImageSimilarityKit
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension SimilarityModel {
  /// - Parameter index: The file of the embeddings, where the Core ML file gives no distances.
  func metadata(
    _ options: CoreMLOptions, _ references: OrderedRows, index: URL?
  ) throws(SimilarityError) -> SpecMetadata {
    let fingerprint = extractor.fingerprint
    var metadata = SpecMetadata()
    metadata.shortDescription =
      index == nil
      ? "Distances (\(metric.rawValue)) of a picture to \(references.count) pictures. Network: \(fingerprint)."
      : "Embedding of a picture, \(fingerprint.dimension) numbers. Network: \(fingerprint)."
    metadata.versionString = "ImageSimilarityKit \(Version.current)"
    metadata.author = options.author
    metadata.license = options.license
    metadata.userDefined = [
      "metric": metric.rawValue,
      // Without the place of the weights file, which is nobody else's business.
      "extractor": json(ExtractorSpecification(input: extractor.input, fingerprint: fingerprint)),
    ]
    if let index {
      metadata.userDefined["embeddings"] = index.lastPathComponent
    } else {
      var ids: [String] = []
      var labels: [String?] = []
      for part in references.parts {
        for record in try references.records(part) {
          ids.append(record.id)
          labels.append(record.label)
        }
      }
      metadata.userDefined["ids"] = json(ids)
      if labels.contains(where: { $0 != nil }) { metadata.userDefined["labels"] = json(labels) }
    }
    return metadata
  }
}

private func json(_ value: some Encodable) -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  do {
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  } catch {
    preconditionFailure("finite numbers and text can be written as JSON: \(error)")
  }
}

extension SpecFeatureDescription {
  static func picture(_ name: String, of network: FoldedNetwork) -> SpecFeatureDescription {
    .with {
      $0.name = name
      $0.shortDescription = "The picture, in the size that the network was trained on."
      $0.type.imageType.width = Int64(network.input.width)
      $0.type.imageType.height = Int64(network.input.height)
      $0.type.imageType.colorSpace = network.preprocessing.isBGR ? .bgr : .rgb
    }
  }

  static func vector(_ name: String, _ count: Int, _ text: String) -> SpecFeatureDescription {
    .with {
      $0.name = name
      $0.shortDescription = text
      $0.type.multiArrayType.shape = [Int64(count)]
      $0.type.multiArrayType.dataType = .float32
    }
  }
}
