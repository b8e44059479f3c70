import CSimilarityKernels
import ImageSimilarityCore

/// Queries as scans of codes take them. Immutable.
struct ScanQueries: Sendable {
  static let tileRows = Int(IMSIM_QUERY_TILE)

  /// How many there are.
  let count: Int
  private let dimension: Int
  private let metric: Metric
  private let bound: KeyBound
  /// Tile after tile, as the kernel takes them.
  private let packed: Column<Int8>

  /// - Parameter rows: the rows of `vectors` that are the queries.
  init(_ vectors: CodedVectors, rows: Range<Int>, metric: Metric) {
    count = rows.count
    dimension = vectors.dimension
    self.metric = metric
    bound = KeyBound(vectors, rows: rows, metric: metric)
    let rowBytes = CodedVectors.bytesPerPanel(dimension: dimension) / CodedVectors.rowsPerPanel
    let packed = ColumnMemory<Int8>(count: rows.count * rowBytes)
    for first in stride(from: 0, to: rows.count, by: Self.tileRows) {
      let tile = (first..<min(first + Self.tileRows, rows.count)).map { UInt32(rows.lowerBound + $0) }
      withExtendedLifetime(vectors) {
        unsafe imsim_pack_queries(
          vectors.codes.start, tile, CInt(tile.count), vectors.dimension, packed.start + first * rowBytes)
      }
    }
    self.packed = Column(packed)
  }

  /// Finds, for each query of `tile`, the rows of `range` whose keys are at most the query's limit.
  ///
  /// - Parameters:
  ///   - tile: at most ``tileRows`` queries from a multiple of it on.
  ///   - range: rows of `vectors`, from the first of a panel on.
  ///   - limits: one a query.
  ///   - rowLimits: one a row of `range`, where rows have limits too; a key that is not above either is found.
  func scan(
    _ tile: Range<Int>, _ vectors: CodedVectors, rows range: Range<Int>, limits: ArraySlice<Float>,
    rowLimits: ArraySlice<Float>? = nil, into results: ScanResults
  ) {
    precondition(
      tile.lowerBound % Self.tileRows == 0 && tile.count <= Self.tileRows && tile.upperBound <= count
        && range.lowerBound % CodedVectors.rowsPerPanel == 0 && range.upperBound <= vectors.rows
        && vectors.dimension == dimension && limits.count == count && range.count <= results.rows
        && rowLimits?.count ?? range.count == range.count,
      "the operands of a scan do not fit together")
    let panelBytes = CodedVectors.bytesPerPanel(dimension: dimension)
    let first = range.lowerBound
    withExtendedLifetime((vectors, self)) {
      var coded = unsafe imsim_coded_rows(
        rows: range.count, dimension: dimension,
        codes: vectors.codes.start + first / CodedVectors.rowsPerPanel * panelBytes,
        scales: vectors.scales.start + first, zeros: vectors.zeros.start + first, sums: vectors.sums.start + first,
        errors: vectors.errors.start + first, squared_norms: vectors.squaredNorms.start + first)
      unsafe bound.scales.withUnsafeBufferPointer { scales in
        unsafe bound.reaches.withUnsafeBufferPointer { reaches in
          unsafe bound.slacks.withUnsafeBufferPointer { slacks in
            unsafe bound.offsets.withUnsafeBufferPointer { offsets in
              unsafe bound.zeros.withUnsafeBufferPointer { zeros in
                unsafe bound.sums.withUnsafeBufferPointer { sums in
                  unsafe limits.withUnsafeBufferPointer { limits in
                    let q = tile.lowerBound
                    var queries = unsafe imsim_query_tile(
                      count: CInt(tile.count),
                      codes: packed.start + q * (panelBytes / CodedVectors.rowsPerPanel),
                      scales: scales.baseAddress! + q, reaches: reaches.baseAddress! + q,
                      slacks: slacks.baseAddress! + q, offsets: offsets.baseAddress! + q,
                      zeros: zeros.baseAddress! + q, sums: sums.baseAddress! + q, limits: limits.baseAddress! + q)
                    let kernel = unsafe imsim_scan_current()
                    guard let rowLimits else {
                      return unsafe kernel(
                        metric.kernelValue, &coded, &queries, nil, results.found.start, results.counts.start)
                    }
                    unsafe rowLimits.withUnsafeBufferPointer { rowLimits in
                      unsafe kernel(
                        metric.kernelValue, &coded, &queries, rowLimits.baseAddress, results.found.start,
                        results.counts.start)
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

/// What a scan has found: a worker's memory, used again and again.
struct ScanResults {
  /// Rows of one scan at most.
  let rows: Int
  fileprivate let found: ColumnMemory<imsim_found>
  fileprivate let counts: ColumnMemory<UInt32>

  init(rows: Int) {
    self.rows = rows
    found = ColumnMemory(count: rows * ScanQueries.tileRows)
    counts = ColumnMemory(count: ScanQueries.tileRows)
  }

  /// How many rows the tile's query `i` has.
  func count(_ i: Int) -> Int { unsafe Int(counts.start[i]) }

  /// - Parameter scanned: the number of rows of the scan.
  subscript(i: Int, n: Int, scanned scanned: Int) -> (row: Int, key: Float) {
    let entry = unsafe found.start[i * scanned + n]
    return (Int(entry.row), entry.key)
  }
}

extension Metric {
  fileprivate var kernelValue: imsim_metric {
    switch self {
    case .cosine: IMSIM_METRIC_COSINE
    case .euclidean: IMSIM_METRIC_EUCLIDEAN
    case .innerProduct: IMSIM_METRIC_INNER_PRODUCT
    }
  }
}
