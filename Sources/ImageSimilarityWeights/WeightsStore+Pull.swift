internal import Dispatch
internal import ImageSimilarityCore
internal import ImageSimilarityFiles
internal import ImageSimilarityNN

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension WeightsStore {
  /// Downloads the publisher's weights of a backbone, unless they are in the cache.
  ///
  /// Where a download was cut or cancelled, the next one goes on. Where the server sends other bytes than the publisher's, they
  /// are removed.
  ///
  /// - Parameters:
  ///   - source: An HTTP or HTTPS address, or a file, to take instead of the publisher's; it goes before ``mirror``.
  ///   - sha256: The file's SHA-256 in full, 64 hexadecimal digits; takes the place of the publisher's, so that weights of one's
  ///     own can be pulled by it. Anything else must be the publisher's file.
  ///   - report: Is called from a thread of the download.
  /// - Throws: ``SimilarityError/Code/downloadFailed``, ``SimilarityError/Code/downloadLocked``;
  ///   ``SimilarityError/Code/weightsCorrupt`` where the file is another one; ``SimilarityError/Code/weightsMismatch`` where no
  ///   network can be made of it; ``SimilarityError/Code/invalidArgument`` for a name without published weights, and where the
  ///   cache has other weights of the backbone; ``SimilarityError/Code/inputOutput``; `CancellationError`.
  @discardableResult
  public func pull(
    _ backbone: String, from source: URL? = nil, sha256: String? = nil,
    report: @escaping @Sendable (DownloadEvent) -> Void = { _ in }
  ) async throws -> StoredWeights {
    let interruption = Interruption()
    // libcurl blocks; a thread of the pool for tasks must not.
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "imsim.download").async {
          continuation.resume(
            with: Result { try pull(backbone, source, sha256?.lowercased(), interruption, report) })
        }
      }
    } onCancel: {
      interruption.request()
    }
  }

  private func pull(
    _ backbone: String, _ source: URL?, _ sha256: String?, _ interruption: Interruption,
    _ report: @escaping (DownloadEvent) -> Void
  ) throws -> StoredWeights {
    try requireKeepable(backbone)
    if let sha256, sha256.count != 64 || !sha256.allSatisfy(\.isHexDigit) {
      throw SimilarityError(.invalidArgument, "a SHA-256 has 64 hexadecimal digits; found '\(sha256)'")
    }
    guard let official = official(backbone) else {
      throw SimilarityError(.invalidArgument, "no weights of \(backbone) are published")
    }
    let wanted = sha256 ?? official.sha256
    if let stored = try existing(backbone, isWanted: { $0.sha256.hasPrefix(wanted) }) { return stored }
    let source = try source ?? mirror.map { $0.appending(path: official.fileName) } ?? url(official.url)
    guard !source.isFileURL else { return try add(source, as: backbone, sha256: wanted) }
    guard ["http", "https"].contains(source.scheme?.lowercased()) else {
      throw SimilarityError(
        .invalidArgument, "expected the address of a file, or one that begins with https:// or http://; found \(source)"
      )
    }

    try makeFolder()
    let partial = try PartialFile(backbone, in: cache.folder)
    // Another process may have brought it while this one was starting.
    if let stored = try existing(backbone, isWanted: { $0.sha256.hasPrefix(wanted) }) {
      partial.discard()
      return stored
    }
    let download = Download(
      address: source.absoluteString, limit: try limit(official), options: options, interruption: interruption,
      report: report)
    return try finish(download, partial, backbone, wanted)
  }

  /// Downloads, checks and keeps the file.
  private func finish(
    _ download: Download, _ partial: PartialFile, _ backbone: String, _ wanted: String
  ) throws -> StoredWeights {
    var digest = try Self.digest(of: partial)
    // All of it may be there: the process was stopped just before it could check it.
    if !digest.hasPrefix(wanted) {
      let isJoined = try download.run(into: partial)
      digest = try Self.digest(of: partial)
      if isJoined, !digest.hasPrefix(wanted) {
        // The beginning was of another file; servers without entity tags and dates cannot tell.
        try partial.restart(version: nil)
        _ = try download.run(into: partial)
        digest = try Self.digest(of: partial)
      }
    }
    do throws(SimilarityError) {
      return try keep(partial, of: backbone, digest, wanted, source: Download.displayed(download.address))
    } catch {
      // A disk that is full may have room later; what is no use now never will be.
      if error.code != .inputOutput { partial.discard() }
      throw error
    }
  }

  private func keep(
    _ partial: PartialFile, of backbone: String, _ digest: String, _ wanted: String, source: String
  ) throws(SimilarityError) -> StoredWeights {
    try requireDigest(digest, for: backbone, wanted, source: source, count: partial.count)
    do throws(SimilarityError) {
      try requireFit(WeightsFile(contentsOf: partial.url), backbone)
    } catch {
      throw SimilarityError(error.code, error.message.replacing(partial.url.path, with: source))
    }
    let place = place(for: backbone, digest)
    try partial.commit(to: place)
    return try describe(MappedFile(contentsOf: place), backbone, isNew: true)
  }

  private static func digest(of partial: PartialFile) throws(SimilarityError) -> String {
    try SHA256.hexDigest(of: MappedFile(contentsOf: partial.url))
  }

  private func url(_ text: String) throws(SimilarityError) -> URL {
    guard let url = URL(string: text) else {
      throw SimilarityError(.invalidArgument, "expected an address; found \(text)")
    }
    return url
  }

  private func limit(_ official: OfficialWeights) throws(SimilarityError) -> Int {
    if let limit = options.sizeLimit ?? official.byteCount { return limit }
    let elements = try Backbones.named(official.backbone).tensorShapes.values.reduce(0) { $0 + $1.reduce(1, *) }
    return 5 * elements + 1 << 20
  }
}
