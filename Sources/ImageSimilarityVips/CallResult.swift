import CVipsShim
import ImageSimilarityCore

/// What a call of the shim came to: a status, and a reason fit to be shown.
struct CallResult {
  let status: cvips_status
  let reason: String

  /// Gives `call` a buffer for the message.
  init(_ call: (UnsafeMutablePointer<CChar>, Int) -> cvips_status) {
    (status, reason) = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Self.capacity) { buffer in
      guard let base = buffer.baseAddress else { return (CVIPS_MEMORY, "") }
      unsafe base.initialize(to: 0)
      let status = unsafe call(base, Self.capacity)
      return (status, status == CVIPS_OK ? "" : unsafe Self.clean(String(cString: base)))
    }
  }

  /// Throws what `error` makes of a failure.
  func check(_ error: (cvips_status, String) -> SimilarityError) throws(SimilarityError) {
    if status != CVIPS_OK { throw error(status, reason) }
  }

  private static let capacity = 1024

  /// One line without repetition: messages quote bytes of hostile files, and pass through terminals and logs.
  static func clean(_ message: String) -> String {
    var lines: [String] = []
    for line in message.split(whereSeparator: \.isNewline) {
      let printable = String(String.UnicodeScalarView(line.unicodeScalars.map { isPrintable($0) ? $0 : "?" }))
      if !printable.isEmpty, !lines.contains(printable) { lines.append(printable) }
    }
    let whole = lines.joined(separator: "; ")
    return whole.count > 200 ? "\(whole.prefix(200))…" : whole
  }

  /// Not a control, and nothing that changes the direction or order of the text around it.
  private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
    default: scalar != "\u{FFFD}"
    }
  }
}
