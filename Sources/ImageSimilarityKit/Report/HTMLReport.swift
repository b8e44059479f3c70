internal import ImageSimilarityCore
public import ImageSimilarityVips

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A page to look at: one HTML file that holds all it needs, pictures included, and asks nothing of a network.
///
/// The page can be read without scripts and with any width, by keyboard and by screen readers, in light and dark. Names are
/// shown as text, whatever they hold, and a content security policy allows the page nothing but its own style, its own script,
/// both known by their hashes, and pictures that are inside it.
public struct HTMLReport: Sendable {
  public var title: String
  /// A line below the title.
  public var subtitle: String
  public var sections: [Section]

  public enum Section: Sendable {
    case hits(ReportHits)
    case groups(ReportGroups)
    case measures(ReportMeasures)
    case map(ReportMap)
  }

  /// The longer side of a picture on the page at most, in pixels.
  public var pictureSide = 480
  /// Once the file is so large, the pictures of hits and groups that are still to come are left out, and the page says how many.
  /// A map always has its place.
  public var maximumBytes = 64 << 20
  /// Pictures of a map that the page holds, 64 pixels each, evenly spread over it. The others are points with names.
  public var maximumMapPictures = 1024
  /// Decodes the pictures.
  public var decoder = VipsImageDecoder()

  public init(title: String, subtitle: String = "", sections: [Section]) {
    self.title = title
    self.subtitle = subtitle
    self.sections = sections
  }

  /// What ``write(to:progress:)`` did.
  public struct Summary: Sendable, Hashable, Codable {
    /// Pictures in the file.
    public var pictures = 0
    /// Pictures that could not be read; the page says why.
    public var unreadable = 0
    /// Pictures that were left out because of ``HTMLReport/maximumBytes``.
    public var leftOut = 0
    /// Points of maps.
    public var points = 0
    /// The file's size.
    public var bytes = 0

    private enum CodingKeys: String, CodingKey {
      case pictures, unreadable, points, bytes
      case leftOut = "left_out"
    }
  }

  /// Writes the page, all at once: where it throws, the file is as it was.
  ///
  /// Pictures are decoded one after the other; one that cannot be read becomes a note of why.
  ///
  /// - Parameter progress: is told after each picture how many of how many are done.
  /// - Throws: ``SimilarityError/Code/inputOutput`` where the file cannot be written, and `CancellationError` soon after the
  ///   current task is cancelled.
  /// - Complexity: O(pictures) time. The memory is that of the inputs, a few bytes a point, and a picture's.
  @discardableResult
  public func write(to url: URL, progress: ((_ done: Int, _ total: Int) -> Void)? = nil) throws -> Summary {
    var writer = try ReportWriter(self, url, progress)
    try writer.writePage()
    return try writer.commit()
  }
}
