import CVipsShim
public import ImageSimilarityCore
import Synchronization

/// How libvips behaves in this process.
///
/// The settings belong to the application: it calls ``apply(_:)`` once, before the first picture is decoded. Where it does
/// not, the first decode applies the defaults, and the first picture that takes libvips starts it.
public struct VipsSettings: Sendable, Hashable {
  /// Threads that libvips uses for one picture. A program that decodes many pictures at once wants 1.
  public var concurrency = 1
  /// Whether libvips keeps recent operations and their pixels; no use when each picture is decoded once.
  public var cachesOperations = false
  /// Whether only loaders that libvips holds to be safe with hostile files are used: JPEG, PNG, WebP, TIFF, GIF and
  /// HEIF/AVIF, and not ImageMagick, PDF, SVG, OpenEXR and others.
  public var blocksUntrustedLoaders = true
  /// Whether libvips reports what was never freed, to stderr, when the process ends.
  public var reportsLeaks = false
  /// Bytes that all decodes together may take for pictures that have to be in memory as a whole; others wait.
  public var memoryBudget = 512 << 20

  public init() {}

  /// Starts libvips where it is not running yet, and sets everything in `settings`.
  ///
  /// Throws ``SimilarityError/Code/imageUnsupported`` where libvips cannot start.
  public static func apply(_ settings: VipsSettings) throws(SimilarityError) {
    state.withLock { $0.set(settings) }
    try start()
  }

  /// Starts libvips where it is not running yet.
  static func start() throws(SimilarityError) {
    _ = current
    try unsafe CallResult { unsafe cvips_start($0, $1) }.check { _, reason in
      SimilarityError(.imageUnsupported, "libvips does not start: \(reason)")
    }
  }

  /// The version of the libvips that is linked, for example `8.14.1`.
  public static var version: String {
    get throws(SimilarityError) {
      try start()
      return unsafe String(cString: cvips_version())
    }
  }

  /// The settings in force; applies the defaults where there are none yet.
  static var current: VipsSettings {
    state.withLock { state in
      if let settings = state.settings { return settings }
      let settings = VipsSettings()
      state.set(settings)
      return settings
    }
  }

  /// Whether pictures in `format`, a loader's name, may be opened.
  ///
  /// libvips's own block is not enough: some loaders parse the file before they ask whether they are blocked, and its list
  /// of trusted loaders has one for text files of numbers.
  func allows(format: String) -> Bool {
    switch format {
    case "jpeg", "png", "webp", "tiff", "gif", "heif": true
    case "matrix", "csv": false
    default: !blocksUntrustedLoaders
    }
  }

  private struct State {
    private(set) var settings: VipsSettings?

    mutating func set(_ settings: VipsSettings) {
      cvips_configure(
        cvips_configuration(
          concurrency: Int32(clamping: max(1, settings.concurrency)), caches_operations: settings.cachesOperations,
          blocks_untrusted: settings.blocksUntrustedLoaders, reports_leaks: settings.reportsLeaks))
      self.settings = settings
    }
  }

  private static let state = Mutex(State())
}
