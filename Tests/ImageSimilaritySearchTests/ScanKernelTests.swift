import CSimilarityKernels
import ImageSimilarityCore
import ImageSimilaritySearch
import Testing

/// The kernel of each instruction set that this machine has, called directly.
@Suite struct ScanKernelTests {
  private static let metrics: [imsim_metric] = [
    IMSIM_METRIC_COSINE, IMSIM_METRIC_EUCLIDEAN, IMSIM_METRIC_INNER_PRODUCT,
  ]

  /// Keys bound distances from below, and by no more than codes and rounding leave open; all instruction sets agree.
  @Test(arguments: [1, 3, 4, 5, 63, 64, 65, 130, 1280]) func keysAreTightBounds(dimension: Int) {
    for (rows, queries) in [(1, 1), (15, 2), (16, 3), (17, 5), (33, 7), (48, 10), (70, 12)] {
      let data = matrix(rows: rows, dimension: dimension, seed: 1)
      let asked = matrix(rows: queries, dimension: dimension, seed: 2)
      let fixture = Fixture(rows: CodedVectors(encoding: data), queries: CodedVectors(encoding: asked))
      for metric in Self.metrics {
        for level in Fixture.levels {
          let found = fixture.run(level, metric, limit: .infinity)
          for query in 0..<queries {
            #expect(found[query].map(\.row) == (0..<rows).map(UInt32.init))
            for entry in found[query] {
              let exact = Self.exact(metric, asked[query], data[Int(entry.row)])
              let slack = 2 * fixture.margin(metric, query, Int(entry.row)) + 1e-5 * (1 + abs(exact))
              #expect(Double(entry.key) <= exact, "level \(level), \(metric)")
              #expect(exact - Double(entry.key) <= slack, "level \(level), \(metric)")
            }
          }
        }
      }
    }
  }

  /// A limit finds the rows whose keys are at most it, ascending; a row's own limit adds to that; nothing else is written.
  @Test func limits() {
    let data = matrix(rows: 100, dimension: 40, seed: 3)
    let fixture = Fixture(rows: CodedVectors(encoding: data), queries: CodedVectors(encoding: data[rows: 0..<12]))
    for level in Fixture.levels {
      for metric in Self.metrics {
        let all = fixture.run(level, metric, limit: .infinity)
        for query in 0..<12 {
          let limit = all[query].map(\.key).sorted()[17]
          let some = fixture.run(level, metric, limit: limit)[query]
          #expect(some.map(\.row) == all[query].filter { $0.key <= limit }.map(\.row))
          var own = [Float](repeating: -.infinity, count: 100)
          own[5] = .infinity
          own[99] = .infinity
          let more = fixture.run(level, metric, limit: limit, rowLimits: own)[query]
          #expect(Set(more.map(\.row)) == Set(some.map(\.row)).union([5, 99]))
        }
        #expect(fixture.run(level, metric, limit: -.greatestFiniteMagnitude).allSatisfy { $0.isEmpty })
      }
    }
  }

  /// Rows that a code says nothing about are always found.
  @Test func rowsWithoutACode() {
    var vectors = (0..<20).map { matrix(rows: 20, dimension: 9, seed: 4)[$0] }
    vectors[3] = vectors[3].map { $0 * 1e-20 }
    vectors[7] = vectors[7].map { $0 * 1e20 }
    vectors[11] = [Float](repeating: 0, count: 9)
    let coded = CodedVectors(encoding: EmbeddingMatrix(vectors))
    let fixture = Fixture(rows: coded, queries: CodedVectors(encoding: EmbeddingMatrix([vectors[0]])))
    for level in Fixture.levels {
      let found = fixture.run(level, IMSIM_METRIC_COSINE, limit: -.greatestFiniteMagnitude)[0].map(\.row)
      #expect(found == [3, 7, 11])
      #expect(fixture.run(level, IMSIM_METRIC_EUCLIDEAN, limit: -10)[0].map(\.row) == [3, 7])
    }
  }

  /// What a code stands for is as far from its vector as the column says, or a little nearer.
  @Test(arguments: [1, 2, 7, 64, 1280]) func errorsAreUpperBounds(dimension: Int) {
    let data = matrix(rows: 40, dimension: dimension, seed: 5)
    for precision in ElementPrecision.allCases {
      let coded = CodedVectors(encoding: data, as: precision)
      for row in 0..<40 {
        let elements = coded.elements.row(row, dimension: dimension)
        var error = 0.0
        var norm = 0.0
        var sum: Int32 = 0
        for i in 0..<dimension {
          let place =
            row / 16 * CodedVectors.bytesPerPanel(dimension: dimension) + i / 4 * 64 + row % 16 * 4 + i % 4
          let code = coded.codes[place]
          let value = Double(coded.scales[row]) * Double(Int32(code) - coded.zeros[row])
          error += (Double(elements[i]) - value) * (Double(elements[i]) - value)
          norm += Double(elements[i]) * Double(elements[i])
          sum += Int32(code)
        }
        #expect(error.squareRoot() <= Double(coded.errors[row]))
        #expect(Double(coded.errors[row]) <= error.squareRoot() * 1.001 + 1e-30)
        #expect(error.squareRoot() <= 0.51 * Double(coded.scales[row]) * Double(dimension).squareRoot() + 1e-30)
        #expect(abs(coded.squaredNorms[row] - norm) <= 1e-12 * norm)
        #expect(coded.sums[row] == sum)
      }
    }
  }

  private static func exact(_ metric: imsim_metric, _ a: [Float], _ b: [Float]) -> Double {
    let dot = zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    let aa = a.reduce(0) { $0 + Double($1) * Double($1) }
    let bb = b.reduce(0) { $0 + Double($1) * Double($1) }
    switch metric {
    case IMSIM_METRIC_COSINE: return -dot / (aa * bb).squareRoot()
    case IMSIM_METRIC_EUCLIDEAN: return zip(a, b).reduce(0) { $0 + pow2(Double($1.0) - Double($1.1)) }
    default: return -dot
    }
  }

  private static func pow2(_ x: Double) -> Double { x * x }

  /// Elements of one sign in every third row.
  private func matrix(rows: Int, dimension: Int, seed: UInt64) -> EmbeddingMatrix {
    var random = SplitMix64(seed: seed)
    return EmbeddingMatrix(
      (0..<rows).map { row in
        (0..<dimension).map { _ in row % 3 == 0 ? abs(random.next()) + 0.01 : random.next() * 2 }
      })
  }
}

/// Rows and queries as the kernel takes them, with bounds computed here.
private struct Fixture {
  let rows: CodedVectors
  let queries: CodedVectors

  /// Those that this machine has.
  static let levels = (0..<CInt(IMSIM_LEVEL_COUNT)).filter { unsafe imsim_scan_for($0) != nil }

  private func norm(_ query: Int) -> Double { queries.squaredNorms[query].squareRoot() }

  /// What the codes leave open of a key.
  func margin(_ metric: imsim_metric, _ query: Int, _ row: Int) -> Double {
    let length = rows.squaredNorms[row].squareRoot()
    let open =
      (norm(query) + Double(queries.errors[query])) * Double(rows.errors[row]) + Double(queries.errors[query]) * length
    switch metric {
    case IMSIM_METRIC_COSINE: return open / (length * norm(query))
    case IMSIM_METRIC_EUCLIDEAN: return 2 * open
    default: return open
    }
  }

  func run(
    _ level: CInt, _ metric: imsim_metric, limit: Float, rowLimits: [Float]? = nil
  ) -> [[imsim_found]] {
    let count = queries.rows
    let units = (0..<count).map { metric == IMSIM_METRIC_COSINE ? 1 / norm($0) : 1 }
    let scales = (0..<count).map { Float(Double(queries.scales[$0]) * units[$0]) }
    let reaches = (0..<count).map { Float((norm($0) + Double(queries.errors[$0])) * units[$0] * (1 + 1e-6)) }
    let slacks = (0..<count).map { Float((Double(queries.errors[$0]) + norm($0) * 0x1p-19) * units[$0]).nextUp }
    let offsets = (0..<count).map {
      metric == IMSIM_METRIC_EUCLIDEAN ? Float(norm($0) * norm($0) * (1 - 0x1p-20)) : 0
    }
    let zeros = (0..<count).map { queries.zeros[$0] - 128 }
    let sums = (0..<count).map { queries.sums[$0] - 128 * Int32(queries.dimension) }
    let limits = [Float](repeating: limit, count: count)
    var packed = [Int8](repeating: 0, count: count * CodedVectors.bytesPerPanel(dimension: rows.dimension) / 16)
    unsafe imsim_pack_queries(
      queries.codes.start, (0..<count).map(UInt32.init), CInt(count), rows.dimension, &packed)
    var found = [imsim_found](repeating: imsim_found(row: .max, key: 0), count: count * rows.rows + 8)
    var counts = [UInt32](repeating: .max, count: count + 1)
    unsafe scales.withUnsafeBufferPointer { scales in
      unsafe reaches.withUnsafeBufferPointer { reaches in
        unsafe slacks.withUnsafeBufferPointer { slacks in
          unsafe offsets.withUnsafeBufferPointer { offsets in
            unsafe zeros.withUnsafeBufferPointer { zeros in
              unsafe sums.withUnsafeBufferPointer { sums in
                unsafe limits.withUnsafeBufferPointer { limits in
                  unsafe packed.withUnsafeBufferPointer { packed in
                    var coded = unsafe imsim_coded_rows(
                      rows: rows.rows, dimension: rows.dimension, codes: rows.codes.start,
                      scales: rows.scales.start, zeros: rows.zeros.start, sums: rows.sums.start,
                      errors: rows.errors.start, squared_norms: rows.squaredNorms.start)
                    var tile = unsafe imsim_query_tile(
                      count: CInt(count), codes: packed.baseAddress!, scales: scales.baseAddress!,
                      reaches: reaches.baseAddress!, slacks: slacks.baseAddress!, offsets: offsets.baseAddress!,
                      zeros: zeros.baseAddress!, sums: sums.baseAddress!, limits: limits.baseAddress!)
                    unsafe imsim_scan_for(level)?(metric, &coded, &tile, rowLimits, &found, &counts)
                  }
                }
              }
            }
          }
        }
      }
    }
    #expect(counts[count] == .max && found.suffix(8).allSatisfy { $0.row == .max })
    return (0..<count).map { query in (0..<Int(counts[query])).map { found[query * rows.rows + $0] } }
  }
}
