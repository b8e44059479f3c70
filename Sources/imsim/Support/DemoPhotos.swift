internal import CDemoPhotos

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// The photographs that come with imsim.
enum DemoPhotos {
  /// File names and JPEG files, in the order of the names.
  static let all: [(name: String, jpeg: Data)] = (0..<imsim_demo_photo_count()).map { i in
    var count = 0
    let bytes = unsafe imsim_demo_photo_bytes(i, &count)
    return unsafe (String(cString: imsim_demo_photo_name(i)), Data(bytes: bytes, count: count))
  }
}
