public import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension SimilarityModel {
  /// All embeddings and their records, by ascending id.
  ///
  /// - Complexity: O(images * dimension) time and memory.
  public func table() throws(SimilarityError) -> EmbeddingTable {
    var values: [Float] = []
    values.reserveCapacity(count * extractor.fingerprint.dimension)
    var records: [ImageRecord] = []
    for id in try ids {
      // A picture that is removed meanwhile is left out.
      guard let embedding = try store.embedding(id), let record = try store.record(id) else { continue }
      values += embedding
      records.append(record)
    }
    return try EmbeddingTable(
      embeddings: EmbeddingMatrix(rows: records.count, dimension: extractor.fingerprint.dimension, values: values),
      records: records)
  }

  /// Writes all embeddings to `url`, and their records beside it with the extension `jsonl`, by ascending id; see
  /// ``ImageSimilaritySearch/EmbeddingTable``.
  ///
  /// - Returns: How many pictures they are.
  /// - Complexity: O(images * dimension) time and memory.
  @discardableResult
  public func export(to url: URL, as format: EmbeddingTable.Format) throws(SimilarityError) -> Int {
    let table = try table()
    try table.write(to: url, as: format, metric: metric)
    return table.records.count
  }

  /// Creates a model of embeddings that were made elsewhere.
  ///
  /// It can be searched by vector and by id. To search it by picture, state the `specification` of the extractor that made the
  /// embeddings, and give that extractor when opening the model.
  ///
  /// - Parameter specification: ``ImageSimilarityCore/ExtractorSpecification/imported(_:dimension:)`` where nil.
  /// - Throws: ``SimilarityError/Code/modelExists``, ``SimilarityError/Code/dimensionMismatch``, or what the file system says.
  public static func create(
    at url: URL, importing table: EmbeddingTable, specification: ExtractorSpecification? = nil,
    options: Options = Options()
  ) async throws -> SimilarityModel {
    let specification = specification ?? .imported(dimension: table.embeddings.dimension)
    guard specification.fingerprint.dimension == table.embeddings.dimension else {
      throw SimilarityError(
        .dimensionMismatch,
        "the extractor gives \(specification.fingerprint.dimension) elements, and the embeddings to import have "
          + "\(table.embeddings.dimension)")
    }
    try SegmentStore.create(at: url, extractor: specification, metric: options.metric).close()
    let model = try await open(at: url, options: options)
    try await model.add(importing: table)
    return model
  }

  /// Stores embeddings that the model's extractor made elsewhere, in one commit; pictures whose ids are there already are
  /// replaced.
  public func add(importing table: EmbeddingTable) async throws {
    try await writing.take { [self] in
      try store.beginWriting()
      defer { store.close() }
      try append(table.embeddings, table.records)
    }
  }
}

extension ExtractorSpecification {
  /// What is known about embeddings that come without their extractor: a name and a dimension. No extractor is compatible
  /// with it.
  public static func imported(_ name: String = "imported", dimension: Int) -> ExtractorSpecification {
    ExtractorSpecification(
      input: ImageGeometry(size: PixelSize(width: 1, height: 1)),
      fingerprint: ExtractorFingerprint(architecture: name, layer: "imported", dimension: dimension))
  }
}
