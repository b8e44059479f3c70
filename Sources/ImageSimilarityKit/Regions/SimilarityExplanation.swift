public import ImageSimilarityCore
public import ImageSimilaritySearch

/// Why two pictures are alike: what each cell of their convolutional maps adds to the cosine of their embeddings.
///
/// A pooled embedding is the mean over the cells of a map, and an inner product is linear in it, so the cosine is a sum over
/// cells, and over pairs of cells, exactly. That is class activation mapping with the other picture in the place of a class:
/// Zhou et al., *Learning Deep Features for Discriminative Localization*, CVPR 2016, arXiv:1512.04150; Stylianou, Souvenir and
/// Pless, *Visualizing Deep Similarity Networks*, WACV 2019, arXiv:1901.00536.
public struct SimilarityExplanation: Sendable, Hashable {
  /// The picture of the model.
  public var id: String
  /// The cosine of the pooled embeddings: the sum of each heat map, and of ``pairs``, up to rounding.
  public var similarity: Float
  /// What each part of the query adds.
  public var query: HeatMap
  /// What each part of the picture of the model adds.
  public var hit: HeatMap
  /// What each pair of a cell of the query and one of the hit adds: `[query cells, hit cells]`, row-major.
  public var pairs: [Float]
  /// What the model knows about the picture.
  public var record: ImageRecord
}

/// What each part of a picture adds to a similarity.
public struct HeatMap: Sendable, Hashable {
  /// A part of a picture, and what it adds.
  public struct Region: Sendable, Hashable, Codable {
    /// In pixels of the upright picture.
    public var region: PixelRegion
    /// The sum over the region's cells.
    public var contribution: Float
  }

  public let rows: Int
  public let columns: Int
  /// `[rows, columns]`, row-major: what each cell adds.
  ///
  /// The cells divide the network's input, which has margins around the picture where it is padded to a shape, and shows a
  /// part of it where it is cropped.
  public let contributions: [Float]
  /// The picture's own size, upright.
  public let size: PixelSize
  /// Where the picture lies, in cells.
  let frame: CellRectangle

  init(_ picture: MappedPicture, contributions: [Float]) {
    rows = picture.map.rows
    columns = picture.map.columns
    size = picture.size
    frame = picture.frame
    self.contributions = contributions
  }

  public var sum: Float { Float(contributions.reduce(0) { $0 + Double($1) }) }

  /// The parts that add the most: touching cells that each add clearly more than a cell does on average, the best first.
  ///
  /// - Parameter limit: At most so many.
  public func regions(limit: Int = 3) -> [Region] {
    let count = Double(contributions.count)
    let mean = contributions.reduce(0) { $0 + Double($1) } / count
    let variance = contributions.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
    let threshold = Float(mean + variance.squareRoot())
    var isFree = contributions.map { $0 > threshold }
    var regions: [Region] = []
    for start in contributions.indices where isFree[start] {
      var (waiting, sum) = ([start], Float(0))
      var (left, right, top, bottom) = (columns, 0, rows, 0)
      isFree[start] = false
      while let cell = waiting.popLast() {
        let (row, column) = (cell / columns, cell % columns)
        sum += contributions[cell]
        (left, right, top, bottom) = (min(left, column), max(right, column), min(top, row), max(bottom, row))
        for (r, c) in [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        where r >= 0 && r < rows && c >= 0 && c < columns && isFree[r * columns + c] {
          isFree[r * columns + c] = false
          waiting.append(r * columns + c)
        }
      }
      let cells = CellRectangle(
        x: Double(left), y: Double(top), width: Double(right + 1 - left), height: Double(bottom + 1 - top))
      let region = cells.relative(to: frame)
      // What lies in the margin is no part of the picture.
      guard region.width > 0, region.height > 0 else { continue }
      regions.append(Region(region: region.pixels(of: size), contribution: sum))
    }
    return Array(regions.sorted { $0.contribution > $1.contribution }.prefix(max(limit, 0)))
  }
}
