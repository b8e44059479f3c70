package import ImageSimilarityCore
package import ImageSimilaritySearch

/// The pictures of a model by ascending id, as they were when this was made.
package struct OrderedRows: Sendable {
  private let segments: [SegmentStore.Segment]
  private let places: [(segment: Int, row: Int)]
  private let areRaw: Bool
  /// Number of elements of each vector.
  package let dimension: Int

  fileprivate init(_ segments: [SegmentStore.Segment], dimension: Int, areRaw: Bool) throws(SimilarityError) {
    var rows: [(id: String, segment: Int, row: Int)] = []
    for (number, segment) in segments.enumerated() {
      for row in segment.liveRows { rows.append((try segment.id(row), number, row)) }
    }
    rows.sort { $0.id < $1.id }
    self.segments = segments
    places = rows.map { ($0.segment, $0.row) }
    self.areRaw = areRaw
    self.dimension = segments.first.map { areRaw ? dimension : $0.vectors.dimension } ?? dimension
  }

  package var count: Int { places.count }

  /// All rows in ranges of at most 16 MiB of embeddings.
  package var parts: [Range<Int>] {
    let rowsAtOnce = max(1, (4 << 20) / dimension)
    return stride(from: 0, to: count, by: rowsAtOnce).map { $0..<min($0 + rowsAtOnce, count) }
  }

  /// Copies of some embeddings.
  package func embeddings(_ rows: Range<Int>) throws(SimilarityError) -> EmbeddingMatrix {
    var values: [Float] = []
    values.reserveCapacity(rows.count * dimension)
    for place in places[rows] {
      let segment = segments[place.segment]
      values += areRaw ? try segment.embedding(place.row) : try segment.searchedVector(place.row)
    }
    return EmbeddingMatrix(rows: rows.count, dimension: dimension, values: values)
  }

  package func records(_ rows: Range<Int>) throws(SimilarityError) -> [ImageRecord] {
    try places[rows].map { place throws(SimilarityError) in try segments[place.segment].record(place.row) }
  }
}

extension SimilarityModel {
  /// The vectors that are searched.
  ///
  /// - Complexity: O(images * log(images)) time, O(images) memory.
  package func orderedRows() throws(SimilarityError) -> OrderedRows {
    try OrderedRows(store.segments, dimension: store.searchedDimension, areRaw: false)
  }

  /// The same of what the extractor made.
  package func rawRows() throws(SimilarityError) -> OrderedRows {
    try OrderedRows(store.segments, dimension: extractor.fingerprint.dimension, areRaw: true)
  }

  /// What makes the embeddings, made again where need be.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/fingerprintMismatch`` where it is not known, or what reading its
  ///   weights throws.
  package func openExtractor() throws(SimilarityError) -> any FeatureExtractor { try embedder.get().extractor }
}
