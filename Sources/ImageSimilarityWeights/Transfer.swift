internal import CCurl
internal import ImageSimilarityCore

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Why a request did not bring what it should.
enum TransferFailure: Error {
  case cancelled
  /// The server answered with another status than 200 and 206.
  case status(Int)
  /// The connection failed: curl's number, and what it says.
  case connection(CURLcode, String)
  /// The receiver wants no more.
  case refused(DownloadFailure)
}

/// Where a response goes to.
protocol ResponseReceiver: AnyObject {
  /// The head of the response, which is not a redirect and has the status 200 or 206.
  func begin(_ head: ResponseHead) throws(DownloadFailure)
  /// The next piece of the body.
  func receive(_ bytes: RawSpan) throws(DownloadFailure)
}

/// A GET request over HTTP or HTTPS, by libcurl: it knows proxies, redirects and certificates. An object makes one request.
final class Transfer {
  private let interruption: Interruption
  private let receiver: any ResponseReceiver
  private var head = ResponseHead()
  private var hasBegun = false
  private var refusal: DownloadFailure?

  private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

  init(_ receiver: any ResponseReceiver, interruption: Interruption) {
    self.receiver = receiver
    self.interruption = interruption
  }

  /// Makes the request, and waits for its end.
  func run(_ url: String, fields: [String], options: DownloadOptions) throws(TransferFailure) {
    guard Self.isReady, let curl = unsafe curl_easy_init() else {
      throw .connection(CURLE_FAILED_INIT, "libcurl cannot be used")
    }
    defer { unsafe curl_easy_cleanup(curl) }
    var lines: UnsafeMutablePointer<curl_slist>?
    for field in fields { unsafe lines = curl_slist_append(lines, field) }
    defer { unsafe curl_slist_free_all(lines) }

    let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    defer { unsafe message.deallocate() }
    unsafe imsim_curl_set_pointer(curl, CURLOPT_ERRORBUFFER, message)
    unsafe imsim_curl_set_header(curl, lines)
    unsafe Self.configure(curl, url, options)
    unsafe connectCallbacks(curl)

    let code = withExtendedLifetime(self) { unsafe curl_easy_perform(curl) }
    var status = 0
    unsafe imsim_curl_get_number(curl, CURLINFO_RESPONSE_CODE, &status)
    if let refusal { throw .refused(refusal) }
    if interruption.isWanted { throw .cancelled }
    if code == CURLE_HTTP_RETURNED_ERROR || (code == CURLE_OK && !hasBegun) { throw .status(status) }
    guard code == CURLE_OK else {
      let said = unsafe String(cString: message)
      throw unsafe .connection(code, said.isEmpty ? String(cString: curl_easy_strerror(code)) : said)
    }
  }

  private static func configure(_ curl: UnsafeMutableRawPointer, _ url: String, _ options: DownloadOptions) {
    // A redirect never leads from an encrypted connection to another one, and nowhere but to HTTP.
    let protocols = url.lowercased().hasPrefix("https:") ? "https" : "http,https"
    for (option, text) in [
      (CURLOPT_URL, url), (CURLOPT_PROTOCOLS_STR, protocols), (CURLOPT_REDIR_PROTOCOLS_STR, protocols),
      (CURLOPT_USERAGENT, "imsim"),
    ] {
      unsafe imsim_curl_set_text(curl, option, text)
    }
    if let file = options.certificateAuthorities { unsafe imsim_curl_set_text(curl, CURLOPT_CAINFO, file.path) }
    for (option, number) in [
      // Without this, libcurl would use signals for its timeouts.
      (CURLOPT_NOSIGNAL, 1),
      (CURLOPT_FAILONERROR, 1), (CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
      (CURLOPT_FOLLOWLOCATION, 1), (CURLOPT_MAXREDIRS, options.redirects),
      (CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(options.connectTimeout / .milliseconds(1)))),
      (CURLOPT_LOW_SPEED_LIMIT, options.minimumSpeed),
      (CURLOPT_LOW_SPEED_TIME, max(1, Int(options.stallTimeout / .seconds(1)))),
      (CURLOPT_NOPROGRESS, 0),
    ] {
      unsafe imsim_curl_set_number(curl, option, number)
    }
  }

  // MARK: Callbacks

  private func connectCallbacks(_ curl: UnsafeMutableRawPointer) {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    for option in [CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_XFERINFODATA] {
      unsafe imsim_curl_set_pointer(curl, option, context)
    }
    unsafe imsim_curl_set_receiver(curl, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      unsafe Transfer.object(context).accept(bytes, size * count) { transfer, line throws(DownloadFailure) in
        try transfer.take(line: unsafe line.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) })
      }
    }
    unsafe imsim_curl_set_receiver(curl, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      unsafe Transfer.object(context).accept(bytes, size * count) { transfer, bytes throws(DownloadFailure) in
        if transfer.hasBegun { try transfer.receiver.receive(bytes) }
      }
    }
    unsafe imsim_curl_set_meter(curl) { context, _, _, _, _ in
      unsafe Transfer.object(context).interruption.isWanted ? 1 : 0
    }
  }

  private static func object(_ context: UnsafeMutableRawPointer?) -> Transfer {
    guard let context = unsafe context else { preconditionFailure("libcurl calls back with what it was given") }
    return unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
  }

  /// The number of bytes taken: all of them, or none, which makes libcurl give up.
  private func accept(
    _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int,
    _ body: (Transfer, RawSpan) throws(DownloadFailure) -> Void
  ) -> Int {
    guard !interruption.isWanted else { return 0 }
    do {
      try unsafe body(self, UnsafeRawBufferPointer(start: bytes, count: count).bytes)
      return count
    } catch {
      refusal = error
      return 0
    }
  }

  private func take(line: String) throws(DownloadFailure) {
    let text = line.prefix { $0 != "\r\n" && $0 != "\r" && $0 != "\n" }
    guard text.isEmpty else { return head.add(String(text)) }
    guard !hasBegun, head.status == 200 || head.status == 206 else { return }
    try receiver.begin(head)
    hasBegun = true
  }
}
