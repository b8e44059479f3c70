internal import CSimilarityKernels

/// A 3x3 convolution with stride 1 by Winograd's algorithm (Lavin and Gray 2015): tiles of the input are transformed, multiplied
/// once per position of the transformed tile, and the products transformed back. In fp32 whatever the tensors' elements.
struct WinogradStep: Sendable {
  /// Outputs of a tile along each axis.
  static let tileOutputs = 4
  static let positions = (tileOutputs + 2) * (tileOutputs + 2)

  var height: Int
  var width: Int
  var channels: Int
  var filters: Int
  var input: ArenaLayout.Slot
  var output: ArenaLayout.Slot
  var residual: ArenaLayout.Slot?
  /// Constants: the transformed weights of each position, the bias, a vector of zeros, and the offset of a product's only tap.
  var weights: Int
  var positionBytes: Int
  var bias: Int
  var zeros: Int
  var taps: Int
  var clamp: Clamp
  /// Tiles that are multiplied together.
  var tilesPerBlock: Int
  /// Bytes of the arena: the transformed tiles, and the products.
  var transformed: Int
  var products: Int

  var tileRows: Int { (height + Self.tileOutputs - 1) / Self.tileOutputs }
  var tileColumns: Int { (width + Self.tileOutputs - 1) / Self.tileOutputs }
  /// Floats between positions.
  var channelStride: Int { imsim_winograd_position_stride(tilesPerBlock * channels) }
  var filterStride: Int { imsim_winograd_position_stride(tilesPerBlock * filters) }
  var scratchBytes: Int { Self.positions * (channelStride + filterStride) * MemoryLayout<Float>.stride }

  /// A run of tiles of one picture, and where they lie in a block.
  private struct Part {
    var picture: Int
    var tiles: Range<Int>
    var slot: Int
  }

  @unsafe func run(_ context: StepContext, rows: Range<Int>, pictures: Range<Int>) {
    let first = rows.lowerBound / Self.tileOutputs * tileColumns
    let last = (rows.upperBound + Self.tileOutputs - 1) / Self.tileOutputs * tileColumns
    // Blocks of nearly the same size: each reads all weights.
    let total = (last - first) * pictures.count
    let blocks = (total + tilesPerBlock - 1) / tilesPerBlock
    for block in 0..<blocks {
      let tiles = total * block / blocks..<total * (block + 1) / blocks
      var parts: [Part] = []
      var tile = tiles.lowerBound
      while tile < tiles.upperBound {
        let (picture, inPicture) = tile.quotientAndRemainder(dividingBy: last - first)
        let count = min(last - first - inPicture, tiles.upperBound - tile)
        let start = first + inPicture
        parts.append(
          Part(picture: pictures.lowerBound + picture, tiles: start..<start + count, slot: tile - tiles.lowerBound))
        tile += count
      }
      unsafe run(context, parts, tiles: tiles.count)
    }
  }

  @unsafe private func run(_ context: StepContext, _ parts: [Part], tiles: Int) {
    let winograd = unsafe context.kernels.winograd
    let transformed = unsafe (context.arena + transformed).assumingMemoryBound(to: Float.self)
    let products = unsafe (context.arena + products).assumingMemoryBound(to: Float.self)

    var image = image(input, channels: channels)
    for part in parts {
      unsafe winograd.input(
        &image, context.pixel(input, picture: part.picture), Int32(part.tiles.lowerBound), Int32(part.tiles.upperBound),
        transformed + part.slot * channels, channelStride, channels)
    }

    var layer = unsafe imsim_convolution(
      columns: Int32(tiles), filters: Int32(filters), in_pixel: channels, in_row: 0, in_image: 0, out_pixel: filters,
      out_row: 0, out_image: 0, residual_pixel: 0, residual_row: 0, residual_image: 0, taps: context.offsets(taps),
      tap_count: 1, run: Int32(channels), weights: context.constants + weights, bias: context.floats(zeros), scale: nil,
      residual_scale: 1, low: -.infinity, high: .infinity)
    let multiply = unsafe context.kernels.convolution.kernel(.fp32)
    for position in 0..<Self.positions {
      unsafe layer.weights = UnsafeRawPointer(context.constants + weights + position * positionBytes)
      unsafe multiply(&layer, transformed + position * channelStride, nil, products + position * filterStride, 0, 1, 1)
    }

    image = self.image(output, channels: filters)
    for part in parts {
      let residualStart = unsafe residual.map { slot in
        unsafe UnsafeRawPointer(context.pixel(slot, picture: part.picture))
      }
      unsafe winograd.output(
        &image, products + part.slot * filters, filterStride, filters, Int32(part.tiles.lowerBound),
        Int32(part.tiles.upperBound), context.floats(bias), residualStart, residual?.pixel ?? 0, residual?.row ?? 0,
        clamp.low, clamp.high, context.pixel(output, picture: part.picture))
    }
  }

  private func image(_ slot: ArenaLayout.Slot, channels: Int) -> imsim_winograd_image {
    imsim_winograd_image(
      outputs: Int32(Self.tileOutputs), height: Int32(height), width: Int32(width), channels: Int32(channels),
      bf16: slot.element == .bf16 ? 1 : 0, pixel: slot.pixel, row: slot.row)
  }
}
