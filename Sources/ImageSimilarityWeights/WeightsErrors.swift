public import ImageSimilarityCore

extension SimilarityError.Code {
  /// A file could not be downloaded: no connection, a server that does not have it, or one that breaks HTTP's rules.
  public static let downloadFailed = SimilarityError.Code(rawValue: "download-failed")
  /// Another process is downloading the same file.
  public static let downloadLocked = SimilarityError.Code(rawValue: "download-locked")
}
