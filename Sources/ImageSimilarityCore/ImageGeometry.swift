/// A width and a height in pixels.
public struct PixelSize: Sendable, Hashable, Codable {
  public var width: Int
  public var height: Int

  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  /// Number of pixels. Traps on overflow, so check sizes read from files first.
  public var area: Int { width * height }
}

extension PixelSize: CustomStringConvertible {
  public var description: String { "\(width)x\(height)" }
}

/// How a picture of any shape becomes one of a fixed shape.
public enum ResizeMode: String, Sendable, Hashable, Codable, CaseIterable {
  /// Both sides are scaled independently; the aspect ratio is lost, nothing is cut away.
  case squash
  /// The picture is scaled until its shorter side is 256/224 of the target's, and the centre is cut out.
  ///
  /// This is torchvision's evaluation transform: `Resize(256)`, `CenterCrop(224)` for a 224-pixel network.
  case crop
  /// The picture is scaled until it fits, and centred on the background colour.
  case pad
}

/// An opaque sRGB colour, one byte a channel.
public struct RGBColor: Sendable, Hashable, Codable {
  public var red: UInt8
  public var green: UInt8
  public var blue: UInt8

  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  public static let white = RGBColor(red: 255, green: 255, blue: 255)
  public static let black = RGBColor(red: 0, green: 0, blue: 0)
}

/// The picture that a feature extractor wants: its exact size, and how to get there from any other.
public struct ImageGeometry: Sendable, Hashable, Codable {
  public var size: PixelSize
  public var resize: ResizeMode
  /// What shows through transparent pixels, and around the picture in ``ResizeMode/pad``.
  public var background: RGBColor

  public init(size: PixelSize, resize: ResizeMode = .squash, background: RGBColor = .white) {
    self.size = size
    self.resize = resize
    self.background = background
  }

  /// Bytes of one picture of this geometry: `height * width * 3`.
  public var byteCount: Int { size.area * 3 }
}
