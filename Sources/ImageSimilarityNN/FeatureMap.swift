/// The last convolutional map of a network for one picture: `[rows, columns, channels]`, row-major.
///
/// The pooled embedding is its mean over all cells. A cell stands for the part of the network's input at its place, and sees
/// some of what is around it.
public struct FeatureMap: Sendable, Hashable {
  public let rows: Int
  public let columns: Int
  public let channels: Int
  public let values: [Float]

  /// Number of cells.
  public var cells: Int { rows * columns }

  /// - Precondition: `values` has `rows * columns * channels` elements, and there is at least one.
  public init(rows: Int, columns: Int, channels: Int, values: [Float]) {
    precondition(rows > 0 && columns > 0 && channels > 0, "a map has at least one cell and one channel")
    precondition(values.count == rows * columns * channels, "a map has rows * columns * channels elements")
    self.rows = rows
    self.columns = columns
    self.channels = channels
    self.values = values
  }

  /// The mean over all cells: the pooled embedding, up to the rounding of sums in another order.
  ///
  /// - Complexity: O(`values.count`)
  public var mean: [Float] {
    var sums = [Double](repeating: 0, count: channels)
    for cell in 0..<cells {
      for channel in 0..<channels { sums[channel] += Double(values[cell * channels + channel]) }
    }
    return sums.map { Float($0 / Double(cells)) }
  }
}
