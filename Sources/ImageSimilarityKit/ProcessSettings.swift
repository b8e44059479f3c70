public import ImageSimilarityCore
internal import ImageSimilaritySearch
public import ImageSimilarityVips

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// The settings of libvips and OpenBLAS, which belong to the whole process.
///
/// An application that uses either library for other purposes too calls ``apply(vips:blasThreads:)`` once, before its first
/// use of this package. Where it does not, the first decoded picture and the first search of many queries apply the defaults.
public enum ProcessSettings {
  /// - Parameters:
  ///   - vips: libvips's threads, caches and blocked loaders.
  ///   - blasThreads: Threads of one of OpenBLAS's matrix products; 1 is best, since searches are parallel over queries.
  public static func apply(vips: VipsSettings = VipsSettings(), blasThreads: Int = 1) throws(SimilarityError) {
    try VipsSettings.apply(vips)
    BLASSettings.apply(threads: blasThreads)
  }

  /// Processors that this process may use.
  public static var processorCount: Int { ProcessInfo.processInfo.activeProcessorCount }
}
