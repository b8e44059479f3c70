public import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension SimilarityModel {
  /// Writes all vectors that are searched (see ``fingerprint``) to `url`, and their records beside it with the extension `jsonl`, by ascending id; see
  /// ``ImageSimilaritySearch/EmbeddingTable``.
  ///
  /// What is written is the state of the model when the call begins.
  ///
  /// - Returns: How many pictures they are.
  /// - Complexity: O(images * (dimension + log(images))) time, O(images) memory.
  @discardableResult
  public func export(to url: URL, as format: EmbeddingTable.Format) throws(SimilarityError) -> Int {
    let rows = try orderedRows()
    var writer = try EmbeddingTableWriter(url, as: format, rows: rows.count, dimension: rows.dimension, metric: metric)
    for part in rows.parts { try writer.append(rows.embeddings(part), rows.records(part)) }
    try writer.finish()
    return rows.count
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
    try SegmentStore.create(
      at: url, extractor: specification, metric: options.metric, precision: options.elements
    ).close()
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
      fingerprint: ExtractorFingerprint(architecture: name, layer: importedLayer, dimension: dimension))
  }

  /// Whether it is one of ``imported(_:dimension:)``.
  var isImported: Bool { fingerprint.layer == Self.importedLayer }
  private static let importedLayer = "imported"
}
