#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// Where the bytes of a picture are.
public enum ImageSource: Sendable, Hashable {
  /// A file in any format that the decoder knows.
  case file(URL)
  /// An encoded picture (a JPEG file's bytes, say).
  case data(Data)
  /// A decoded picture of any size; it is still resized.
  case pixels(RGBImage)
}

extension ImageSource: CustomStringConvertible {
  public var description: String {
    switch self {
    case .file(let url): url.path
    case .data(let data): "\(data.count) bytes"
    case .pixels(let image): "\(image.size) pixels"
    }
  }
}
