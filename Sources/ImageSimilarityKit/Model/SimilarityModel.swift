public import ImageSimilarityCore
internal import ImageSimilarityNN
public import ImageSimilaritySearch
internal import ImageSimilarityVips

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A collection of pictures that answers "which of these look like this one?".
///
/// ```swift
/// let model = try await SimilarityModel.create(at: modelURL, from: .folder(photosURL))
/// for hit in try await model.query(.file(pictureURL), k: 5) { print(hit.rank, hit.id, hit.distance) }
/// ```
///
/// A model is a folder: a manifest, and segments that are never changed once written. What was committed survives a crash at
/// any moment. Several processes may read a model while one writes to it; a reader sees the state it opened.
///
/// All methods may be called from several tasks at once; writes take turns.
public final class SimilarityModel: Sendable {
  /// Where the model is.
  public let url: URL
  let store: SegmentStore
  let embedder: LazyEmbedder
  let maps = FeatureMapNetworks()
  let writing = AsyncTurn()
  let threads: Int

  /// How a model works, apart from what it holds.
  public struct Options: Sendable {
    /// Turns files into pixels.
    public var decoder: any ImageDecoder = VipsImageDecoder()
    /// How far apart embeddings are; only where a model is created.
    public var metric = Metric.cosine
    /// How the elements of embeddings are stored; only where a model is created.
    public var elements = ElementPrecision.fp32
    /// Pictures that are decoded and embedded at the same time; all processors where nil.
    public var threads: Int?
    /// Makes the extractor of a model that is opened without one, when the first picture needs it; returns nil for those of
    /// this package's backbones. Networks from elsewhere come in here: `ONNXNetwork.extractor(for:)` is one.
    public var makeExtractor: (@Sendable (ExtractorSpecification) throws(SimilarityError) -> (any FeatureExtractor)?)?

    public init() {}
  }

  /// Creates a model of `collection`.
  ///
  /// Pictures that cannot be read are listed in ``skipped``. Where the call is cancelled, the model holds what was done so
  /// far; open it and ``add(from:progress:)`` the collection again to go on.
  ///
  /// - Parameters:
  ///   - url: The model's folder; it must not exist, or be empty.
  ///   - extractor: The network bundled with this package where nil.
  ///   - progress: Called after each few pictures, from the calling task.
  /// - Throws: ``SimilarityError/Code/modelExists``, or what the file system says.
  public static func create(
    at url: URL, from collection: ImageCollection, extractor: (any FeatureExtractor)? = nil,
    options: Options = Options(), progress: IndexingProgress.Handler? = nil
  ) async throws -> SimilarityModel {
    // What the collection lacks shows before anything is made.
    let pass = try collection.makePass()
    let model = try await create(at: url, extractor: extractor, options: options)
    _ = try await model.writing.take { try await model.addInTurn(pass, progress) }
    return model
  }

  /// Creates a model that holds nothing yet.
  public static func create(
    at url: URL, extractor: (any FeatureExtractor)? = nil, options: Options = Options()
  ) async throws -> SimilarityModel {
    let extractor = try extractor ?? NetworkExtractor.bundled()
    let store = try SegmentStore.create(
      at: url, extractor: extractor.specification, metric: options.metric, precision: options.elements)
    return SimilarityModel(url: url, store: store, extractor: extractor, options: options)
  }

  /// Opens a model.
  ///
  /// The model knows its extractor. One of this package is made again when the first picture needs it, from the bundled
  /// weights or from the file that it was made from; give it here where that file has moved, or where it is your own type.
  ///
  /// - Throws: ``SimilarityError/Code/modelNotFound``, ``SimilarityError/Code/modelCorrupt`` where the manifest is damaged
  ///   (see ``damaged`` for the rest), ``SimilarityError/Code/modelVersion``; ``SimilarityError/Code/fingerprintMismatch`` where `extractor` is not the one
  ///   that made the model.
  /// - Complexity: O(segments); files are mapped, and read when they are used.
  public static func open(
    at url: URL, extractor: (any FeatureExtractor)? = nil, options: Options = Options()
  ) async throws -> SimilarityModel {
    let store = try SegmentStore.open(at: url)
    if let extractor { try store.extractor.requireCompatible(extractor.specification, model: url) }
    return SimilarityModel(url: url, store: store, extractor: extractor, options: options)
  }

  private init(url: URL, store: SegmentStore, extractor: (any FeatureExtractor)?, options: Options) {
    self.url = url
    self.store = store
    threads = options.threads ?? ProcessSettings.processorCount
    embedder = LazyEmbedder(
      specification: store.extractor, extractor: extractor, makeExtractor: options.makeExtractor,
      decoder: options.decoder, threads: options.threads, model: url)
  }

  /// Whether there is a model, sound or not, at `url`.
  public static func exists(at url: URL) -> Bool { SegmentStore.isModel(at: url) }

  /// What made the embeddings of the model at `url`.
  public static func specification(ofModelAt url: URL) throws -> ExtractorSpecification {
    try SegmentStore.open(at: url).extractor
  }

  // MARK: What is there

  /// How many pictures there are.
  public var count: Int { store.count }
  /// The ids of all pictures, in ascending order.
  ///
  /// - Complexity: O(`count * log(count)`)
  public var ids: [String] { get throws(SimilarityError) { try store.ids } }
  /// What made the embeddings.
  public var extractor: ExtractorSpecification { store.extractor }
  /// What made the vectors that are searched: the extractor and, after a ``fit(options:progress:)``, a projection. Vectors and
  /// distances of different fingerprints are never compared.
  public var fingerprint: ExtractorFingerprint {
    var fingerprint = extractor.fingerprint
    guard let digest = store.projectionDigest else { return fingerprint }
    fingerprint.projection = digest
    fingerprint.dimension = store.searchedDimension
    return fingerprint
  }
  public var metric: Metric { store.metric }
  /// The pictures that the last indexing of their collection could not read.
  public var skipped: [SkippedImage] { get throws(SimilarityError) { try store.skipped } }
  /// The file in the model that lists them, one JSON object a line; nil where there are none.
  public var skippedFile: URL? { store.skippedFile }
  /// The segments that are damaged, and whose pictures are missing. While there are some, nothing can be added or removed;
  /// ``repair()`` removes them.
  public var damaged: [DamagedSegment] { store.damaged }

  public func contains(_ id: String) throws -> Bool { try store.contains(id) }

  /// What is known about a picture; nil where there is none of that id.
  public func record(_ id: String) throws -> ImageRecord? { try store.record(id) }

  /// Searches rows of the store; rows that are added later are not seen.
  func search(_ rows: [any VectorSource]) -> ExactSearch {
    ExactSearch(
      rows, dimension: rows.first?.vectors.dimension ?? store.searchedDimension, metric: metric, threads: threads)
  }

  /// Stores pictures, in one commit.
  func append(_ embeddings: EmbeddingMatrix, _ records: [ImageRecord]) throws(SimilarityError) {
    try store.append(embeddings, records)
  }

  /// Removes pictures, in one commit, and returns how many were there.
  @discardableResult
  public func remove(_ ids: [String]) async throws -> Int {
    try await writing.take { [self] in
      try store.beginWriting()
      defer { store.close() }
      let removed = try store.remove(ids)
      try store.compactIfNeeded()
      return removed
    }
  }

  /// Removes the pictures whose files are gone, in one commit, and returns how many they were.
  @discardableResult
  public func removeMissingFiles() async throws -> Int {
    try await remove(
      try store.records.filter { record in
        record.path.map { !FileManager.default.fileExists(atPath: $0) } ?? false
      }.map(\.id))
  }
}

extension ExtractorSpecification {
  func requireCompatible(_ other: ExtractorSpecification, model: URL) throws(SimilarityError) {
    guard !isCompatible(with: other) else { return }
    var message =
      "\(model.path) holds embeddings of (\(fingerprint), input \(input.size) \(input.resize.rawValue)), which cannot be "
      + "compared with those of (\(other.fingerprint), input \(other.input.size) \(other.input.resize.rawValue))"
    var sameRevision = self
    sameRevision.fingerprint.revision = other.fingerprint.revision
    if sameRevision.isCompatible(with: other) {
      message += ". Only the revision differs, so another version made them: index the pictures into a new model"
    }
    throw SimilarityError(.fingerprintMismatch, message)
  }
}
