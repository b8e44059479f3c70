#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// How long a download may take, and how often it is tried.
public struct DownloadOptions: Sendable {
  /// The longest time to a connection.
  public var connectTimeout = Duration.seconds(20)
  /// A transfer that stays below ``minimumSpeed`` for so long, in whole seconds, is cut.
  public var stallTimeout = Duration.seconds(30)
  /// Bytes a second.
  public var minimumSpeed = 1024
  /// Number of requests, at most, until the file is there: those after the first go on where the one before was cut.
  public var attempts = 5
  /// The pause before the second request. It doubles with each further one.
  public var pause = Duration.seconds(1)
  /// The longest chain of redirects.
  public var redirects = 5
  /// The most bytes that a file may have; where nil, its size where that is known, or a fourth more than the network's tensors
  /// take in fp32.
  public var sizeLimit: Int?
  /// A file of certificates (PEM) to trust instead of the system's.
  public var certificateAuthorities: URL?

  public init() {}
}

/// What a download reports while it runs, from a thread of its own.
public enum DownloadEvent: Sendable, Hashable {
  /// So many bytes are there, of `total` where the server has told.
  case received(bytes: Int, total: Int?)
  /// A request failed, and the next one will be made after a pause.
  case retry(reason: String, pause: Duration)
}
