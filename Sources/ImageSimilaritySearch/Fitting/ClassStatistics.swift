import ImageSimilarityCore

/// Sums over rows of length 1 from which both parts of a projection follow.
///
/// A row of several classes counts in each of them with an equal share.
struct ClassStatistics: Sendable {
  /// Sums over all rows.
  private let all: Moments
  /// Sums over the rows with a label.
  private let labelled: Moments
  /// Of each class that any row has, in the order of the classes: the shares' sum, and the sum of rows times shares.
  private let shares: [Double]
  private let classSums: DenseMatrix
  /// Where a learnt class is among them.
  private let learnt: [Int]

  /// The count, sum and sum of outer products of rows.
  private struct Moments: Sendable {
    var count = 0.0
    var sum: [Double]
    var products: DenseMatrix

    init(dimension: Int) {
      sum = [Double](repeating: 0, count: dimension)
      products = DenseMatrix(rows: dimension, columns: dimension)
    }

    mutating func add(_ other: Moments) {
      count += other.count
      for i in sum.indices { sum[i] += other.sum[i] }
      for i in products.values.indices { products.values[i] += other.products.values[i] }
    }

    mutating func add(_ rows: DenseMatrix) {
      if rows.rows == 0 { return }
      count += Double(rows.rows)
      for row in 0..<rows.rows {
        for i in sum.indices { sum[i] += rows[row, i] }
      }
      let products = LinearAlgebra.gram(rows)
      for i in products.values.indices { self.products.values[i] += products.values[i] }
    }

    var mean: [Double] { sum.map { $0 / max(1, count) } }

    /// The sum of outer products of rows less their mean.
    var scatter: DenseMatrix {
      var scatter = products
      let mean = mean
      for i in mean.indices {
        for j in mean.indices { scatter[i, j] -= count * mean[i] * mean[j] }
      }
      return scatter
    }
  }

  /// Rows whose products are summed at once.
  private static let rowsPerStep = 1024
  /// Sums that are made side by side: as many on every machine, so that the result is the same.
  private static let parts = 4

  /// The statistics of `rows`, in which the classes `classes` are learnt.
  init(_ source: TaughtRows, rows: [Int], classes: [Int], threads: Int) async throws {
    let dimension = source.embeddings.dimension
    let isLabelled = rows.map { !source.classesOfRow[$0].isEmpty }
    let labelledRows = zip(rows, isLabelled).filter(\.1).map(\.0)
    let others = zip(rows, isLabelled).filter { !$0.1 }.map(\.0)
    labelled = try await Self.moments(source.embeddings, labelledRows, threads: threads)
    var all = labelled
    if !others.isEmpty { all.add(try await Self.moments(source.embeddings, others, threads: threads)) }
    self.all = all

    let present = Set(labelledRows.flatMap { source.classesOfRow[$0] }).sorted()
    let places = Dictionary(uniqueKeysWithValues: zip(present, present.indices))
    var shares = [Double](repeating: 0, count: present.count)
    var classSums = DenseMatrix(rows: present.count, columns: dimension)
    for row in labelledRows {
      let x = source.embeddings.unitRows([row])
      let share = 1 / Double(source.classesOfRow[row].count)
      for c in source.classesOfRow[row] {
        guard let place = places[c] else { continue }
        shares[place] += share
        for i in 0..<dimension { classSums[place, i] += share * x[0, i] }
      }
    }
    self.shares = shares
    self.classSums = classSums
    learnt = classes.compactMap { places[$0] }
  }

  private static func moments(_ embeddings: EmbeddingMatrix, _ rows: [Int], threads: Int) async throws -> Moments {
    let steps = stride(from: 0, to: rows.count, by: rowsPerStep).map {
      Array(rows[$0..<min($0 + rowsPerStep, rows.count)])
    }
    let sums = try await concurrently(min(parts, steps.count), threads: threads) { part in
      var moments = Moments(dimension: embeddings.dimension)
      for step in stride(from: part, to: steps.count, by: parts) {
        try Task.checkCancellation()
        moments.add(embeddings.unitRows(steps[step]))
      }
      return moments
    }
    var moments = Moments(dimension: embeddings.dimension)
    for sum in sums { moments.add(sum) }
    return moments
  }

  /// An affine map `matrix x + bias`.
  struct AffineMap: Sendable {
    var matrix: DenseMatrix
    var bias: [Double]

    init(matrix: DenseMatrix, center: [Double]) {
      self.matrix = matrix
      let center = DenseMatrix(rows: center.count, columns: 1, values: center)
      bias = LinearAlgebra.product(matrix, .plain, center).values.map { -$0 }
    }

    /// `[matrix.rows, rows]`: a column for each row.
    func columns(_ rows: DenseMatrix) -> DenseMatrix {
      var result = LinearAlgebra.product(matrix, .plain, rows, .transposed)
      for i in 0..<result.rows {
        for j in 0..<result.columns { result[i, j] += bias[i] }
      }
      return result
    }
  }

  /// The directions that vary most after whitening within classes, in descending order, at most `count`.
  ///
  /// With `S` the covariance within classes shrunk towards a multiple of the identity, these are the eigenvectors of
  /// `S^-1 T`, scaled to `v^T S v = 1`, where `T` is the total covariance: linear discriminant analysis, continued by
  /// directions in which the class means do not differ.
  func imageMap(shrinkage: Double, count: Int) throws -> AffineMap {
    let dimension = all.sum.count
    var within = labelled.products
    var means = classSums
    for c in shares.indices {
      for i in 0..<dimension { means[c, i] /= shares[c].squareRoot() }
    }
    let between = LinearAlgebra.gram(means)
    for i in within.values.indices { within.values[i] -= between.values[i] }
    let trace = (0..<dimension).reduce(0) { $0 + within[$1, $1] }
    // Where all images of each class are equal there is nothing to whiten.
    let hasVariation = trace > 1e-9 * labelled.count
    let shrinkage = hasVariation ? shrinkage : 1
    let scale = hasVariation ? Double(dimension) / trace : 0
    for i in within.values.indices { within.values[i] *= (1 - shrinkage) * scale }
    // The least shrinkage keeps the matrix positive definite whatever rounding does.
    for i in 0..<dimension { within[i, i] += max(shrinkage, 1e-6) }
    guard let factor = LinearAlgebra.cholesky(within) else {
      throw SimilarityError(.invalidArgument, "the covariance within classes is not positive definite")
    }
    // L^-1 T L^-T
    let half = LinearAlgebra.solve(lower: factor, .plain, all.scatter).transposed
    let (_, vectors) = try LinearAlgebra.symmetricEigen(LinearAlgebra.solve(lower: factor, .plain, half))
    let kept = min(count, dimension)
    let leading = DenseMatrix(
      rows: kept, columns: dimension, values: Array(vectors.values.prefix(kept * dimension)))
    let directions = LinearAlgebra.solve(lower: factor, .transposed, leading.transposed).transposed
    return AffineMap(matrix: directions, center: all.mean)
  }

  /// Ridge regression from embeddings to the shares in the learnt classes, all about their means.
  func classMap(ridge: Double) throws -> AffineMap {
    let dimension = labelled.sum.count
    var scatter = labelled.scatter
    let trace = (0..<dimension).reduce(0) { $0 + scatter[$1, $1] }
    let addition = max(ridge * trace / Double(dimension), 1e-9 * labelled.count)
    for i in 0..<dimension { scatter[i, i] += addition }
    guard let factor = LinearAlgebra.cholesky(scatter) else {
      throw SimilarityError(.invalidArgument, "the scatter matrix of the labelled images is not positive definite")
    }
    let mean = labelled.mean
    var right = DenseMatrix(rows: dimension, columns: learnt.count)
    for (column, place) in learnt.enumerated() {
      for i in 0..<dimension { right[i, column] = classSums[place, i] - shares[place] * mean[i] }
    }
    let solution = LinearAlgebra.solve(lower: factor, .transposed, LinearAlgebra.solve(lower: factor, .plain, right))
    return AffineMap(matrix: solution.transposed, center: mean)
  }
}

extension EmbeddingMatrix {
  /// Some rows in fp64, each divided by its length; zeros stay zeros.
  func unitRows(_ rows: [Int]) -> DenseMatrix {
    var result = DenseMatrix(rows: rows.count, columns: dimension)
    withElements { elements in
      for (i, row) in rows.enumerated() {
        var square = 0.0
        for j in 0..<dimension {
          let value = Double(elements[row * dimension + j])
          square += value * value
        }
        let factor = square > 0 ? 1 / square.squareRoot() : 0
        for j in 0..<dimension { result.values[i * dimension + j] = Double(elements[row * dimension + j]) * factor }
      }
    }
    return result
  }
}

/// The results of `body` for 0 to `count - 1`, in this order, of which `threads` are made at a time.
func concurrently<Result: Sendable>(
  _ count: Int, threads: Int, _ body: @escaping @Sendable (Int) async throws -> Result
) async throws -> [Result] {
  try await withThrowingTaskGroup(of: (Int, Result).self) { group in
    var results = [Result?](repeating: nil, count: count)
    var next = 0
    while next < min(threads, count) {
      let i = next
      group.addTask { (i, try await body(i)) }
      next += 1
    }
    while let (i, result) = try await group.next() {
      results[i] = result
      if next < count {
        let i = next
        group.addTask { (i, try await body(i)) }
        next += 1
      }
    }
    return results.compactMap { $0 }
  }
}
