public import ImageSimilarityCore
import ImageSimilarityFiles
import Synchronization

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension SegmentStore {
  /// What embeddings go through before they are searched; nil where they are searched as they are.
  public var projection: LearnedProjection? {
    get throws(SimilarityError) { try searched().projection }
  }

  /// The segments, and what their vectors went through, as they belong together.
  package func searched() throws(SimilarityError) -> (segments: [Segment], projection: LearnedProjection?) {
    let known = state.withLock { $0 }
    let projection = try known.projection(reading: known.manifest.projection)
    state.withLock { state in
      if state.manifest.projection == known.manifest.projection { state.projection = projection }
    }
    return (known.segments, projection)
  }

  /// The SHA-256 of the projection's file; nil where there is none.
  public var projectionDigest: String? { state.withLock { $0.manifest.projection?.file.sha256 } }

  /// Number of elements of the vectors that are searched.
  public var searchedDimension: Int {
    state.withLock { $0.manifest.projection?.file.count } ?? extractor.fingerprint.dimension
  }

  /// How many times ``restoreProjection()`` can go back.
  public var earlierProjections: Int { state.withLock { $0.manifest.projection?.previous.count ?? 0 } }

  /// Searches embeddings through a projection from now on, or as they are where nil, in one commit. The embeddings stay, so
  /// that another projection can be learnt, and this one undone; without a projection, there is nothing to undo.
  ///
  /// - Complexity: reads and projects all embeddings, a segment at a time; memory for the projected vectors of one segment.
  public func setProjection(_ projection: LearnedProjection?) throws(SimilarityError) {
    guard let projection else {
      return try change { state throws(SimilarityError) in
        if state.manifest.projection != nil { try use(nil, nil, in: &state) }
      }
    }
    guard projection.inputDimension == extractor.fingerprint.dimension else {
      throw SimilarityError(
        .dimensionMismatch,
        "the model holds embeddings of \(extractor.fingerprint.dimension) elements, and the projection takes "
          + "\(projection.inputDimension)")
    }
    try change { state throws(SimilarityError) in
      let file = try state.write(
        projection.serialized(), count: projection.dimension, Manifest.projectionSuffix, in: folder)
      afterStep(.wroteFile)
      let old = state.manifest.projection
      let previous = (old?.previous ?? []) + [old?.file]
      try use(
        Manifest.Projection(file: file, previous: previous.suffix(Manifest.Projection.previousLimit)), projection,
        in: &state)
    }
  }

  /// Goes back to what was before the last ``setProjection(_:)``, in one commit, and returns false where there is nothing to
  /// go back to.
  ///
  /// - Complexity: as ``setProjection(_:)``.
  @discardableResult
  public func restoreProjection() throws(SimilarityError) -> Bool {
    var isThere = false
    try change { state throws(SimilarityError) in
      guard var projection = state.manifest.projection, let last = projection.previous.popLast() else { return }
      isThere = true
      guard let last else { return try use(nil, nil, in: &state) }
      projection.file = last
      try use(projection, state.projection(reading: projection), in: &state)
    }
    return isThere
  }

  /// Projects all segments anew.
  func use(
    _ entry: Manifest.Projection?, _ projection: LearnedProjection?, in state: inout State
  ) throws(SimilarityError) {
    state.manifest.projection = entry
    state.projection = projection
    for index in state.segments.indices {
      let segment = state.segments[index]
      var file: Manifest.CheckedFile?
      if let projection {
        try segment.stored.verifyElements(ofRows: 0..<segment.rows)
        file = try write(projection.project(segment.stored.vectors), number: state.manifest.takeFileNumber())
      }
      try state.segments[index].replaceProjected(file, of: state.manifest, in: folder)
    }
  }

  func write(_ projected: CodedVectors, number: String) throws(SimilarityError) -> Manifest.CheckedFile {
    let file = try VectorsWriter.write(projected, to: folder.segment(number + StoredVectors.projectedSuffix))
    afterStep(.wroteFile)
    return file
  }
}

extension SegmentStore.State {
  /// The projection of an entry, which may be the one that has been read already.
  func projection(reading entry: Manifest.Projection?) throws(SimilarityError) -> LearnedProjection? {
    guard let entry else { return nil }
    if entry == manifest.projection, let projection { return projection }
    let mapped = try map(entry.file)
    let projection = try LearnedProjection(serialized: entry.file.contents(of: mapped), name: mapped.name)
    guard projection.inputDimension == manifest.extractor.fingerprint.dimension,
      projection.dimension == entry.file.count
    else {
      throw SimilarityError(
        .modelCorrupt,
        "\(mapped.name) is damaged: it projects \(projection.inputDimension) to \(projection.dimension) dimensions; expected "
          + "\(manifest.extractor.fingerprint.dimension) to \(entry.file.count)")
    }
    return projection
  }
}

extension LearnedProjection {
  /// What becomes of stored vectors, rounded as they are.
  ///
  /// All rows are projected from their stored elements, so that it does not matter when it is done.
  func project(_ vectors: CodedVectors) -> CodedVectors {
    var values: [Float] = []
    values.reserveCapacity(vectors.rows * dimension)
    let rowsAtOnce = max(1, (4 << 20) / vectors.dimension)
    for start in stride(from: 0, to: vectors.rows, by: rowsAtOnce) {
      let rows = start..<min(start + rowsAtOnce, vectors.rows)
      let part: [Float] = unsafe vectors.elements.withFloats(ofRows: rows, dimension: vectors.dimension) {
        unsafe Array($0)
      }
      project(EmbeddingMatrix(rows: rows.count, dimension: vectors.dimension, values: part)).withElements { elements in
        for i in elements.indices { values.append(elements[i]) }
      }
    }
    return CodedVectors(
      encoding: EmbeddingMatrix(rows: vectors.rows, dimension: dimension, values: values),
      as: vectors.elements.precision)
  }
}
