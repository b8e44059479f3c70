public import ImageSimilarityKit

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension SimilarityModel {
  /// Writes the model as a Core ML file (`.mlmodel`, a neural network): it takes a picture and gives its distance to each
  /// picture of the model.
  ///
  /// The input `image` is a colour picture of the network's size; preprocessing is part of the file. The output `distance` is
  /// a vector of fp32 in the model's metric, an element for each picture by ascending id. The metadata that the application
  /// can read have, as JSON, the array `ids`, the array `labels` in the same order (null where there is none; left out where
  /// there are none at all) and the object `extractor` with the fingerprint and the picture's geometry; and `metric`.
  ///
  /// With ``CoreMLOptions/featuresOnly`` the output is `embedding` instead, and the pictures' embeddings and records are
  /// written beside the file as ``export(to:as:)`` does it, in safetensors and JSON Lines.
  ///
  /// The network computes in fp32 from the weights that it was made from, whatever the model's own precision is: where that is
  /// not fp32, the model's embeddings of the references differ from the file's of the same pictures as much as the precisions
  /// do.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/fingerprintMismatch`` where the model holds imported embeddings, or
  ///   what made them is not known; ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where that is not a network
  ///   of this package, has layers that a Core ML file does not have here, where there are no pictures, or the file would
  ///   have 2 GiB or more, which protobuf cannot hold; or what reading the weights and writing the file throw.
  /// - Complexity: O(weights + images * dimension) time. Memory for one layer's weights, 16 MiB of embeddings, and all ids and
  ///   labels.
  @discardableResult
  public func exportCoreML(
    to url: URL, options: CoreMLOptions = CoreMLOptions()
  ) throws(SimilarityError) -> CoreMLSummary {
    guard let extractor = try openExtractor() as? NetworkExtractor else {
      throw SimilarityError(
        .invalidArgument,
        "a Core ML file holds the network, and \(self.url.path) was made by (\(self.extractor.fingerprint)), which is not a "
          + "network of this package")
    }
    guard fingerprint.projection == nil else {
      throw SimilarityError(
        .invalidArgument,
        "\(self.url.path) has learnt a projection, which a Core ML file does not have here: undo the fit in a copy of the "
          + "model, and export that")
    }
    let network = try extractor.folded()
    let references = try orderedRows()
    guard options.featuresOnly || references.count > 0 else {
      throw SimilarityError(.invalidArgument, "\(self.url.path) holds no pictures to give distances to")
    }

    var layers = LayerList(options.weights)
    let (picture, embedding, distance) = ("image", "embedding", "distance")
    try layers.append(network, from: picture, to: embedding)
    if !options.featuresOnly {
      try layers.appendDistances(metric, to: references, dimension: network.dimension, from: embedding, to: distance)
    }
    let index = options.featuresOnly ? url.deletingPathExtension().appendingPathExtension("safetensors") : nil
    guard index != url else {
      throw SimilarityError(
        .invalidArgument, "\(url.path) is where the embeddings go: give the Core ML file another name")
    }
    var model = SpecModel()
    model.specificationVersion = Int32(options.weights.specificationVersion)
    model.description_p.input = [.picture(picture, of: network)]
    if options.featuresOnly {
      model.description_p.output = [.vector(embedding, network.dimension, "The picture's embedding.")]
    } else {
      model.description_p.output = [
        .vector(distance, references.count, "The distance to each picture, in the order of 'ids' in the metadata.")
      ]
    }
    model.description_p.metadata = try metadata(options, references, index: index)
    var file = MessageStream()
    file.append(model)
    file.append(field: SpecField.neuralNetwork, layers.message)
    guard file.byteCount < 1 << 31 else {
      throw SimilarityError(
        .invalidArgument,
        "the Core ML file would have \(file.byteCount) bytes, and protobuf goes up to \(1 << 31 - 1): export the network alone, "
          + "or with fewer bits a weight")
    }

    var output = try AtomicFile(url)
    try file.write(to: &output)
    if let index { try export(to: index, as: .safetensors) }
    try output.commit()
    return CoreMLSummary(
      images: references.count, dimension: network.dimension, bytes: file.byteCount, index: index)
  }
}
