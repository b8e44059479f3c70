internal import CCurl
internal import ImageSimilarityCore

/// What a receiver has against a response.
enum DownloadFailure: Error {
  /// Its bytes do not go on from those that are there.
  case otherPart
  case error(SimilarityError)
}

/// A file that comes over HTTP in as many requests as it takes.
struct Download {
  let address: String
  let limit: Int
  let options: DownloadOptions
  let interruption: Interruption
  let report: (DownloadEvent) -> Void

  /// Fills `partial`, going on from what is there.
  ///
  /// - Returns: Whether the bytes come from several responses, so that they may not belong together.
  /// - Throws: ``SimilarityError``; `CancellationError`, which leaves what has arrived.
  func run(into partial: PartialFile) throws -> Bool {
    var pause = options.pause
    for attempt in 1...max(1, options.attempts) {
      do throws(TransferFailure) {
        return try request(partial)
      } catch {
        let reason = try temporaryReason(of: error, partial)
        guard attempt < options.attempts else {
          throw failure(
            "\(reason), \(attempt) times; \(partial.count) bytes are kept, and the next download goes on there")
        }
        report(.retry(reason: reason, pause: pause))
        interruption.sleep(pause)
        pause = min(pause * 2, .seconds(60))
      }
    }
    preconditionFailure("the last attempt returns or throws")
  }

  private func request(_ partial: PartialFile) throws(TransferFailure) -> Bool {
    let start = partial.count
    var fields: [String] = []
    if start > 0 {
      fields = ["Range: bytes=\(start)-"]
      if let version = partial.version { fields.append("If-Range: \(version)") }
    }
    let reception = Reception(partial, download: self)
    try Transfer(reception, interruption: interruption).run(address, fields: fields, options: options)
    return reception.isPart
  }

  /// What went wrong, where a further request may do better; throws what ends the download.
  private func temporaryReason(of failure: TransferFailure, _ partial: PartialFile) throws -> String {
    switch failure {
    case .cancelled: throw CancellationError()
    case .refused(.error(let error)): throw error
    case .refused(.otherPart), .status(416):
      // What is there is not a part of what the server has.
      try partial.restart(version: nil)
      return "the server cannot go on from what is there"
    case .status(let status) where status >= 500 || status == 408 || status == 429:
      return "the server answers with HTTP status \(status)"
    case .status(let status):
      throw self.failure("the server answers with HTTP status \(status)\(Self.meaning(of: status))")
    case .connection(CURLE_UNSUPPORTED_PROTOCOL, let message):
      throw self.failure("it leads to an address that is refused: \(message)")
    case .connection(let code, let message):
      guard Self.isTemporary(code) else { throw self.failure(message) }
      return message
    }
  }

  private static func meaning(of status: Int) -> String {
    switch status {
    case 401, 403: ", access is denied"
    case 404, 410: ", there is no such file"
    default: ""
    }
  }

  /// Whether a connection broke. One that was never made (no network, no such host) is not tried again.
  private static func isTemporary(_ code: CURLcode) -> Bool {
    [
      CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_OPERATION_TIMEDOUT,
      CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_HTTP3,
    ].contains(code)
  }

  fileprivate func failure(_ reason: String) -> SimilarityError {
    SimilarityError(.downloadFailed, "cannot download \(Self.displayed(address)): \(reason)")
  }

  /// An address without a user's name and password.
  static func displayed(_ address: String) -> String {
    let parts = address.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count >= 3, let at = parts[2].lastIndex(of: "@") else { return address }
    return (parts[0..<2] + [parts[2][parts[2].index(after: at)...]] + parts[3...]).joined(separator: "/")
  }
}

/// Puts a response behind what is there.
private final class Reception: ResponseReceiver {
  private let partial: PartialFile
  private let download: Download
  private let start: Int
  private var total: Int?
  private(set) var isPart = false

  init(_ partial: PartialFile, download: Download) {
    self.partial = partial
    self.download = download
    start = partial.count
  }

  func begin(_ head: ResponseHead) throws(DownloadFailure) {
    if head.status == 206 {
      guard start > 0, let range = head.contentRange, range.start == start else { throw .otherPart }
      total = range.total
      isPart = true
    } else {
      total = head.contentLength
    }
    try check(total ?? 0)
    // A server that sends the whole has another version, or no parts.
    if head.status == 200 {
      do throws(SimilarityError) { try partial.restart(version: head.validator) } catch { throw .error(error) }
    }
  }

  func receive(_ bytes: RawSpan) throws(DownloadFailure) {
    try check(partial.count + bytes.byteCount)
    do throws(SimilarityError) { try partial.append(bytes) } catch { throw .error(error) }
    download.report(.received(bytes: partial.count, total: total))
  }

  private func check(_ count: Int) throws(DownloadFailure) {
    guard count <= download.limit, count >= 0 else {
      throw .error(
        download.failure("it has more than \(download.limit) bytes, which is more than the weights can have"))
    }
  }
}
