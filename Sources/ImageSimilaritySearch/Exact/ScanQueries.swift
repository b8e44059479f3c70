import CSimilarityKernels
import ImageSimilarityCore

/// Queries as scans of codes take them. Immutable.
struct ScanQueries: Sendable {
  static let tileRows = Int(IMSIM_QUERY_TILE)

  let matrix: EmbeddingMatrix
  let coded: CodedVectors
  let bound: KeyBound
  /// Tile after tile, as the kernel takes them.
  private let packed: Column<Int8>

  /// - Precondition: all elements are finite.
  init(_ matrix: EmbeddingMatrix, metric: Metric) {
    self.init(CodedVectors(encoding: matrix), matrix: matrix, metric: metric)
  }

  /// - Parameter matrix: the elements of `coded`.
  private init(_ coded: CodedVectors, matrix: EmbeddingMatrix, metric: Metric) {
    self.matrix = matrix
    self.coded = coded
    bound = KeyBound(coded, metric: metric)
    let rowBytes = CodedVectors.bytesPerPanel(dimension: coded.dimension) / CodedVectors.rowsPerPanel
    let packed = ColumnMemory<Int8>(count: coded.rows * rowBytes)
    for first in stride(from: 0, to: coded.rows, by: Self.tileRows) {
      let count = min(Self.tileRows, coded.rows - first)
      coded.codes.withElements { codes in
        unsafe codes.withUnsafeBufferPointer { codes in
          guard let codes = codes.baseAddress else { return }
          let rows = (first..<first + count).map { UInt32($0) }
          unsafe imsim_pack_queries(codes, rows, CInt(count), coded.dimension, packed.start + first * rowBytes)
        }
      }
    }
    self.packed = Column(packed)
  }

  var rows: Int { coded.rows }

  /// Finds, for each query of `tile`, the rows of `range` whose keys are at most the query's limit.
  ///
  /// - Parameters:
  ///   - tile: at most ``tileRows`` queries from a multiple of it on.
  ///   - range: rows of `vectors`, from the first of a panel on.
  func scan(
    _ tile: Range<Int>, _ vectors: CodedVectors, rows range: Range<Int>, limits: borrowing [Float],
    into results: ScanResults
  ) {
    precondition(
      tile.lowerBound % Self.tileRows == 0 && tile.count <= Self.tileRows && tile.upperBound <= rows
        && range.lowerBound % CodedVectors.rowsPerPanel == 0 && range.upperBound <= vectors.rows
        && vectors.dimension == coded.dimension && limits.count == rows && range.count <= results.rows,
      "the operands of a scan do not fit together")
    let dimension = coded.dimension
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
                    unsafe imsim_scan_current()(
                      bound.metric.kernelValue, &coded, &queries, nil, results.found.start, results.counts.start)
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
