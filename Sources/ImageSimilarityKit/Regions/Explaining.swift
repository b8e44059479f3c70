public import ImageSimilarityCore
internal import ImageSimilarityNN
internal import ImageSimilaritySearch
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension SimilarityModel {
  /// Why a picture of the model is like a query: heat maps over both whose sums are the similarity.
  ///
  /// What is explained is the cosine of the network's pooled embeddings, whatever the model's metric is and whatever has been
  /// learnt on top of them. Both pictures are read from their files.
  ///
  /// - Parameters:
  ///   - query: A picture.
  ///   - id: A picture of the model.
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/unknownID``; what reading the pictures throws;
  ///   ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the model's extractor has no convolutional map.
  /// - Complexity: O(cells^2 * channels), and the network's time for two pictures.
  public func explain(_ query: ImageSource, hit id: String) async throws -> SimilarityExplanation {
    guard let record = try record(id) else {
      throw SimilarityError(.unknownID, "there is no picture '\(id)' in \(url.path)")
    }
    let network = try mappingNetwork()
    let mapper = try mapper(network, inputSize: network.specification.input.size)
    let source = try record.source
    return try await withTaskExecutorPreference(WorkerPool(width: 1)) {
      let workspace = mapper.network.makeWorkspace()
      let decoder = VipsImageDecoder()
      return SimilarityExplanation(
        record, query: try mapper.map(query, size: decoder.size(of: query), using: workspace),
        hit: try mapper.map(source, size: decoder.size(of: source), using: workspace))
    }
  }
}

extension SimilarityExplanation {
  init(_ record: ImageRecord, query: MappedPicture, hit: MappedPicture) {
    func length(_ vector: [Float]) -> Double {
      vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    let products = InnerProducts.between(query.map.values, hit.map.values, dimension: query.map.channels)
    // A picture whose embedding is zero is like nothing.
    let lengths = length(query.map.mean) * length(hit.map.mean) * Double(query.map.cells * hit.map.cells)
    let factor = lengths > 0 ? 1 / lengths : 0
    let columns = hit.map.cells
    var ofQuery = [Double](repeating: 0, count: query.map.cells)
    var ofHit = [Double](repeating: 0, count: hit.map.cells)
    for (pair, product) in products.enumerated() {
      ofQuery[pair / columns] += Double(product) * factor
      ofHit[pair % columns] += Double(product) * factor
    }
    self.init(
      id: record.id, similarity: Float(ofQuery.reduce(0, +)),
      query: HeatMap(query, contributions: ofQuery.map { Float($0) }),
      hit: HeatMap(hit, contributions: ofHit.map { Float($0) }), pairs: products.map { Float(Double($0) * factor) },
      record: record)
  }
}
