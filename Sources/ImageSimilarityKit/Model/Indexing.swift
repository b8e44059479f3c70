internal import ImageSimilarityCore
public import ImageSimilaritySearch

/// How far indexing is.
public struct IndexingProgress: Sendable, Hashable {
  public typealias Handler = @Sendable (IndexingProgress) -> Void

  /// Pictures that were embedded and stored, or are about to be.
  public var indexed = 0
  /// Pictures that were there already and have not changed.
  public var unchanged = 0
  /// Pictures that could not be read.
  public var skipped = 0
  /// All pictures, where that is known.
  public var total: Int?

  public var done: Int { indexed + unchanged + skipped }
}

/// What indexing did.
public struct IndexingReport: Sendable, Hashable, Codable {
  /// Pictures that were embedded and stored.
  public var indexed: Int
  /// Pictures that were there already and have not changed.
  public var unchanged: Int
  /// Pictures that could not be read, with the reasons.
  public var skipped: [SkippedImage]
  /// Wall-clock time, and processor time by stage.
  public var profile: PipelineProfile

  /// Wall-clock time.
  public var seconds: Double { profile.seconds }
}

extension SimilarityModel {
  /// Rows and time between two commits: what a crash can cost.
  private static let rowsPerCommit = 1024
  private static let timePerCommit = Duration.seconds(10)

  /// Adds the pictures of a collection, in its order.
  ///
  /// A picture whose id is there already is embedded again only if its file has changed since (its size or its time of
  /// modification); pictures that are not files are always embedded. A picture that cannot be read is listed and stops
  /// nothing; where the model holds an earlier state of it, that stays.
  ///
  /// What is done is committed every few seconds, and when the task is cancelled, before `CancellationError` is thrown: call
  /// again to go on.
  @discardableResult
  public func add(
    from collection: ImageCollection, progress: IndexingProgress.Handler? = nil
  ) async throws -> IndexingReport {
    try await writing.take { [self] in try await addInTurn(collection.makePass(), progress) }
  }

  func addInTurn(
    _ pass: ImageCollection.Pass, _ handler: IndexingProgress.Handler?
  ) async throws -> IndexingReport {
    var meter = PipelineMeter()
    try store.beginWriting()
    defer { store.close() }
    let changes = ChangeFilter(store: store, pass: pass)
    var progress = IndexingProgress(total: pass.count)
    var skipped: [SkippedImage] = []
    var rows = PendingRows(expecting: Self.rowsPerCommit + ImageEmbedder.batchSize)
    var lastCommit = ContinuousClock.now

    func commit() throws {
      try meter.writing {
        if let (embeddings, records) = rows.take() {
          try append(embeddings, records)
        }
        try store.updateRecords(changes.takeUpdates())
      }
      lastCommit = .now
    }
    func finish() throws {
      try commit()
      try meter.writing { try store.setSkipped(store.skipped.filter { !changes.hasSeen($0.id) } + skipped) }
    }
    let next: () async throws -> ImageCollection.Element? = { try await changes.next() }
    do {
      try await embedder.get().embed(next: next, count: pass.count) { batch in
        meter.add(batch)
        rows.append(batch, records: changes.takeRecords(batch.items))
        changes.forget(batch.skipped)
        skipped += batch.skipped
        progress.indexed += batch.items.count
        progress.skipped += batch.skipped.count
        progress.unchanged = changes.unchanged
        handler?(progress)
        if rows.count >= Self.rowsPerCommit || lastCommit.duration(to: .now) >= Self.timePerCommit {
          try commit()
        }
      }
    } catch {
      // What is complete is kept, whatever ended the pass.
      try finish()
      throw error
    }
    try finish()
    try meter.writing { try store.compactIfNeeded() }
    progress.unchanged = changes.unchanged
    handler?(progress)
    return IndexingReport(
      indexed: progress.indexed, unchanged: changes.unchanged, skipped: skipped, profile: meter.profile)
  }
}

/// Embeddings that wait for the next commit.
private struct PendingRows {
  /// How many there will be at most, as a rule.
  private let expected: Int
  private var values: [Float] = []
  private var records: [ImageRecord] = []

  init(expecting expected: Int) { self.expected = expected }

  var count: Int { records.count }

  mutating func append(_ batch: ImageEmbedder.Batch, records newRecords: [ImageRecord]) {
    guard let embeddings = batch.embeddings else { return }
    values.reserveCapacity(expected * embeddings.dimension)
    embeddings.withElements { elements in
      for i in elements.indices { values.append(elements[i]) }
    }
    records += newRecords
  }

  mutating func take() -> (embeddings: EmbeddingMatrix, records: [ImageRecord])? {
    guard !records.isEmpty else { return nil }
    defer { self = PendingRows(expecting: expected) }
    return (
      EmbeddingMatrix(rows: records.count, dimension: values.count / records.count, values: values), records
    )
  }
}
