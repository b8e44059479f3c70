/// An sRGB picture in memory: 8 bits a channel, `[height, width, 3]` row-major without padding, channels R, G, B.
public struct RGBImage: Sendable, Hashable {
  public let size: PixelSize
  /// `height * width * 3` bytes, top row first.
  public var pixels: [UInt8] {
    didSet { Self.checkCount(pixels.count, size) }
  }

  /// - Precondition: `pixels.count == size.width * size.height * 3`, and both sides are at least 1.
  public init(size: PixelSize, pixels: [UInt8]) {
    Self.checkCount(pixels.count, size)
    self.size = size
    self.pixels = pixels
  }

  private static func checkCount(_ count: Int, _ size: PixelSize) {
    precondition(size.width > 0 && size.height > 0, "an image has at least one pixel, not \(size)")
    precondition(count == size.area * 3, "an RGB image of \(size) has \(size.area * 3) bytes, not \(count)")
  }
}

/// Pictures of one size, side by side in one buffer: `[count, height, width, 3]`, 8 bits a channel, R, G, B.
///
/// A worker makes one and fills it again and again; nothing is allocated per picture.
public struct ImageBatch: Sendable {
  public let size: PixelSize
  /// How many pictures there is room for.
  public let capacity: Int
  /// How many pictures are there.
  public private(set) var count = 0
  private var storage: [UInt8]

  /// Bytes of one picture.
  public var stride: Int { size.area * 3 }

  /// - Precondition: `capacity` and both sides are at least 1.
  public init(capacity: Int, size: PixelSize) {
    precondition(capacity > 0 && size.width > 0 && size.height > 0, "a batch has room for at least one pixel")
    self.size = size
    self.capacity = capacity
    self.storage = [UInt8](repeating: 0, count: capacity * size.area * 3)
  }

  /// A batch that holds `images`, which all have the same size.
  public init(_ images: [RGBImage]) {
    precondition(!images.isEmpty, "a batch has at least one image")
    self.init(capacity: images.count, size: images[0].size)
    for image in images {
      precondition(image.size == size, "the images of a batch have one size: \(size), not \(image.size)")
      append { pixels in
        for i in image.pixels.indices { pixels[i] = image.pixels[i] }
      }
    }
  }

  /// Calls `body` with the pixels of all pictures, `count * stride` bytes.
  public borrowing func withPixels<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
    try body(storage.span.extracting(0..<count * stride))
  }

  /// Calls `body` with the pixels of one picture, `stride` bytes.
  ///
  /// - Precondition: `0 <= index < count`.
  public borrowing func withPixels<R, E: Error>(
    ofImage index: Int, _ body: (Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    precondition(index >= 0 && index < count, "image \(index) of a batch of \(count)")
    return try body(storage.span.extracting(index * stride..<(index + 1) * stride))
  }

  public mutating func removeAll() { count = 0 }

  /// Appends the picture that `fill` writes; where it throws, the batch is as it was.
  ///
  /// - Precondition: `count < capacity`.
  public mutating func append<E: Error>(_ fill: (inout MutableSpan<UInt8>) throws(E) -> Void) throws(E) {
    precondition(count < capacity, "the batch is full: \(capacity) images")
    let slotRange = count * stride..<(count + 1) * stride
    var all = storage.mutableSpan
    var slot = all._mutatingExtracting(slotRange)
    try fill(&slot)
    count += 1
  }
}
