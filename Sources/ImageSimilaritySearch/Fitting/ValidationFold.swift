import ImageSimilarityCore

/// A fold with everything that does not depend on a strength: learning from one part, comparing the other.
struct ValidationFold: Sendable {
  let statistics: ClassStatistics
  /// The compared rows, each of length 1, `[rows, dimension]`.
  private let rows: DenseMatrix
  /// For each compared row the others with a label of its own, ascending.
  private let relevant: [[Int]]
  let raw: FitReport.Retrieval

  /// Nil where no compared row has another of its label.
  init?(_ source: TaughtRows, _ fold: Fold, threads: Int) async throws {
    var members: [Int: [Int]] = [:]
    for (i, row) in fold.compared.enumerated() {
      for c in source.classesOfRow[row] { members[c, default: []].append(i) }
    }
    relevant = fold.compared.enumerated().map { i, row in
      Set(source.classesOfRow[row].flatMap { members[$0] ?? [] }).subtracting([i]).sorted()
    }
    if relevant.allSatisfy(\.isEmpty) { return nil }
    statistics = try await ClassStatistics(source, rows: fold.learnt, classes: fold.classes, threads: threads)
    rows = source.embeddings.unitRows(fold.compared)
    raw = Self.retrieval(LinearAlgebra.gram(rows.transposed), relevant)
  }

  var count: Int { rows.rows }

  /// The first parts of the compared rows' projections before they are cut to a length, a column each.
  func imageColumns(shrinkage: Double, count: Int) throws -> DenseMatrix {
    try statistics.imageMap(shrinkage: shrinkage, count: count).columns(rows)
  }

  /// The compared rows' class scores, a column each.
  func scoreColumns(ridge: Double) throws -> DenseMatrix {
    try statistics.classMap(ridge: ridge).columns(rows)
  }

  /// The inner products of all columns, after division of each by its length.
  static func cosines(_ columns: DenseMatrix, first count: Int) -> DenseMatrix {
    var kept = DenseMatrix(
      rows: min(count, columns.rows), columns: columns.columns,
      values: Array(columns.values.prefix(count * columns.columns)))
    for j in 0..<kept.columns {
      let square = (0..<kept.rows).reduce(0) { $0 + kept[$1, j] * kept[$1, j] }
      let factor = square > 0 ? 1 / square.squareRoot() : 0
      for i in 0..<kept.rows { kept[i, j] *= factor }
    }
    return LinearAlgebra.gram(kept)
  }

  /// The inner products of the class parts of weight 1.
  static func classProducts(_ scores: DenseMatrix, sharpness: Double, threshold: Double, codes: ClassCodes)
    -> DenseMatrix
  {
    let mixture = ClassMixture(sharpness: Float(sharpness), threshold: Float(threshold), weight: 1)
    let columns = scores.transposed
    var parts = DenseMatrix(rows: columns.rows, columns: columns.columns)
    for i in 0..<columns.rows {
      parts.values.replaceSubrange(
        i * columns.columns..<(i + 1) * columns.columns, with: mixture.parts(ofScores: columns[row: i]))
    }
    return LinearAlgebra.gram(codes.mixed(parts).transposed)
  }

  /// Inner products divided by both lengths.
  static func cosinesOfProducts(_ products: DenseMatrix) -> DenseMatrix {
    var cosines = products
    let factors = (0..<products.rows).map { products[$0, $0] > 0 ? 1 / products[$0, $0].squareRoot() : 0 }
    for i in factors.indices {
      for j in factors.indices { cosines[i, j] *= factors[i] * factors[j] }
    }
    return cosines
  }

  /// Retrieval by the cosine of rows whose first parts have the inner products `image` and whose class parts, at weight 1,
  /// have the inner products `classes`.
  func retrieval(image: DenseMatrix, classes: DenseMatrix? = nil, weight: Double = 0) -> FitReport.Retrieval {
    guard let classes else { return Self.retrieval(image, relevant) }
    var products = image
    let square = weight * weight
    let factors = (0..<count).map { 1 / (1 + square * classes[$0, $0]).squareRoot() }
    for i in 0..<count {
      for j in 0..<count {
        products.values[i * count + j] = (image[i, j] + square * classes[i, j]) * factors[j]
      }
    }
    return Self.retrieval(products, relevant)
  }

  /// Each row with something relevant queries all others; at equal similarity what is not relevant comes first.
  private static func retrieval(_ similarities: DenseMatrix, _ relevant: [[Int]]) -> FitReport.Retrieval {
    var (precision, averagePrecision, queries) = (0.0, 0.0, 0.0)
    for (query, own) in relevant.enumerated() where !own.isEmpty {
      let sorted = own.map { similarities[query, $0] }.sorted(by: >)
      // before[i]: rows that are not relevant after the relevant ones 0..<i and not after i.
      var before = [Int](repeating: 0, count: own.count + 1)
      var next = 0
      for row in 0..<similarities.columns {
        if next < own.count, own[next] == row {
          next += 1
          continue
        }
        let similarity = similarities[query, row]
        if row == query || similarity < sorted[sorted.count - 1] { continue }
        before[sorted.firstIndex { $0 <= similarity } ?? own.count] += 1
      }
      var (others, sum) = (0, 0.0)
      for i in own.indices {
        others += before[i]
        sum += Double(i + 1) / Double(i + 1 + others)
      }
      if before[0] == 0 { precision += 1 }
      averagePrecision += sum / Double(own.count)
      queries += 1
    }
    return FitReport.Retrieval(
      precisionAt1: precision / max(1, queries), meanAveragePrecision: averagePrecision / max(1, queries))
  }
}

/// Rows of signs that are nearly orthogonal, one a class, where there are more classes than dimensions for them (Kane,
/// Nelson, Sparser Johnson-Lindenstrauss transforms, 2014, treat such maps); nothing where there are not.
struct ClassCodes: Sendable {
  /// `[classes, dimension]`, each row of length 1.
  let matrix: DenseMatrix?

  init(classes: Int, maximumDimension: Int, seed: UInt64) {
    guard classes > maximumDimension else {
      matrix = nil
      return
    }
    var random = SplitMix(seed: seed &+ 2)
    let size = 1 / Double(maximumDimension).squareRoot()
    // Rounded as they are stored.
    let value = Double(Float(size))
    matrix = DenseMatrix(
      rows: classes, columns: maximumDimension,
      values: (0..<classes * maximumDimension).map { _ in random.next() >> 63 == 0 ? value : -value })
  }

  /// `parts`, `[rows, classes]`, in the dimensions of the codes.
  func mixed(_ parts: DenseMatrix) -> DenseMatrix {
    guard let matrix else { return parts }
    return LinearAlgebra.product(parts, .plain, matrix)
  }
}
