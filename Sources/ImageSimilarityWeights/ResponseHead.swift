/// The status and the fields of an HTTP response (RFC 9110), as they arrive line by line.
struct ResponseHead {
  private(set) var status = 0
  /// By names in lower case. Only those that a download needs are kept.
  private var fields: [String: String] = [:]

  private static let names: Set = ["content-length", "content-range", "etag", "last-modified"]
  /// Longer fields are ignored.
  private static let maximumLength = 1024

  /// Takes a line without its end. A status line begins anew: of redirects and interim responses nothing stays.
  mutating func add(_ line: String) {
    if line.hasPrefix("HTTP/") {
      let parts = line.split(separator: " ")
      self = ResponseHead()
      status = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
      return
    }
    let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, line.utf8.count <= Self.maximumLength else { return }
    let name = parts[0].lowercased()
    guard Self.names.contains(name) else { return }
    let value = parts[1].drop { $0 == " " || $0 == "\t" }
    fields[name] = String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }

  var contentLength: Int? { fields["content-length"].flatMap { Int($0) } }

  /// What `If-Range` may compare: a strong entity tag, or a date (RFC 9110, section 13.1.5).
  var validator: String? {
    let candidates = [fields["etag"].flatMap { $0.hasPrefix("\"") ? $0 : nil }, fields["last-modified"]]
    return candidates.compactMap(\.self).first { $0.utf8.allSatisfy { 0x20..<0x7f ~= $0 } }
  }

  /// The first byte and the size of the whole, where it is known, of `Content-Range: bytes 100-199/200`.
  var contentRange: (start: Int, total: Int?)? {
    guard let field = fields["content-range"], field.hasPrefix("bytes ") else { return nil }
    let parts = field.dropFirst(6).split(separator: "/")
    guard parts.count == 2, let first = parts[0].split(separator: "-").first, let start = Int(first) else { return nil }
    return (start, Int(parts[1]))
  }
}
