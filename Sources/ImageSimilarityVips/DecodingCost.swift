import CVipsShim

/// Estimates of the memory that a picture's loader takes, in bytes. Upper bounds for honest and hostile files, measured.
enum DecodingCost {
  /// Bytes for a file of `encodedBytes` before its header is known: some loaders take in the whole file, and then something
  /// for each frame.
  static func ofFile(format: String, encodedBytes: Int) -> Int {
    switch format {
    case "gif", "webp", "heif": encodedBytes * 4
    default: 0
    }
  }

  /// Bytes for the rows that resampling keeps: as many as an output row is made of.
  static func ofResampling(_ x: cvips_axis, _ y: cvips_axis) -> Int {
    Int(min(y.size, y.size / y.scaled * 4 + 8) * x.count) * 4
  }

  /// Bytes for the pixels.
  static func ofPixels(format: String, header: cvips_header) -> Int {
    let area = Int(header.width) * Int(header.height)
    let bands = Int(header.bands)
    let samples = area * bands * Int(header.bytes_per_sample)
    switch format {
    case "jpeg" where header.interlaced:  // 16-bit coefficients of the whole picture
      return header.subsampled ? area * bands : area * bands * 2
    case "jpeg": return 0
    case "png": return header.interlaced ? samples : 0
    case "gif": return area * 10
    case "webp": return area * (header.frames > 1 ? 16 : 5)
    case "heif": return area * 10 * Int(header.bytes_per_sample)
    case "tiff": return samples  // strips and tiles may be as large as the picture
    default: return samples * 2
    }
  }
}
