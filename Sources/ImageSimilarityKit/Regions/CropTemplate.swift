internal import ImageSimilarityNN

/// A crop as it is looked for: the means of `grid * grid` equal blocks of its map, at one or more scales.
///
/// What a convolutional network says of a thing depends on how large it looks to it, so a window is compared with the scale
/// that is nearest to its own. Blocks keep the layout, which one mean over all would lose: that is what tells where a window
/// ends. Max-pooled regions of several scales: Tolias, Sicre and Jégou, *Particular object retrieval with integral
/// max-pooling of CNN activations*, ICLR 2016, arXiv:1511.05879.
struct CropTemplate: Sendable {
  static let grid = 3
  static let blocks = grid * grid

  struct Scale: Sendable {
    /// The longer side of the crop on its network's input, in pixels of that.
    var side: Double
    /// `[blocks, channels]`
    var means: [Float]
  }

  /// Width over height, in pixels.
  let aspect: Double
  let scales: [Scale]
  let channels: Int

  /// - Parameter pictures: Maps of the crop, and the inputs' widths over the maps': pixels a cell.
  init(_ pictures: [MappedPicture], pixelsPerCell: Double) {
    precondition(!pictures.isEmpty, "a template has a scale")
    let size = pictures[0].size
    aspect = Double(size.width) / Double(size.height)
    channels = pictures[0].map.channels
    scales = pictures.map { picture in
      let visible = picture.visible
      var means: [Float] = []
      for row in 0..<Self.grid {
        for column in 0..<Self.grid {
          means += picture.map.mean(over: visible.block(row: row, column: column, of: Self.grid))
        }
      }
      return Scale(side: max(visible.width, visible.height) * pixelsPerCell, means: means)
    }
  }

  /// All scales' blocks, each divided by its length: `[scales, blocks, channels]`.
  var directions: [Float] {
    var directions = scales.flatMap(\.means)
    for start in stride(from: 0, to: directions.count, by: channels) {
      var square: Float = 0
      for i in start..<start + channels { square += directions[i] * directions[i] }
      let factor = square > 0 ? 1 / square.squareRoot() : 0
      for i in start..<start + channels { directions[i] *= factor }
    }
    return directions
  }
}
