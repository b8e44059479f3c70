public import ImageSimilarityCore

/// Learns a ``LearnedProjection`` from labels, in closed form.
///
/// The embeddings, each of length 1, are whitened within classes and cut to the directions that vary most then (Fisher 1936;
/// Friedman 1989 for the regularisation), and ridge regression to the classes gives scores, which a softmax with a place for
/// "none of these" turns into probabilities. How strong each of this is, is chosen by cross-validation: the best retrieval of
/// held-out images of the learnt classes at which held-out classes, compared among themselves, are found at least as well as
/// by the raw embeddings.
public enum ProjectionFit {
  /// Called with the done part of the work, from 0 to 1, from any thread.
  public typealias Progress = @Sendable (Double) -> Void

  private static let shrinkages = [0.6, 0.9]
  private static let imageDimensions = [96, 160, 256]
  private static let ridges = [0.03, 0.1, 0.3, 1]
  private static let sharpnesses = [8.0, 12, 18, 27]
  private static let thresholds = [0.1, 0.25, 0.4, 0.55]
  private static let classWeights = [0.5, 0.75, 1, 1.5, 2, 3]

  /// Learns from the labelled rows. Rows without a label, and those alone in their class, count for the mean and the total
  /// covariance. A row of several labels counts in each with an equal share.
  ///
  /// The result depends on the embeddings, labels and options, not on `threads`. The memory is bounded by
  /// O(`dimension * (dimension + classes) + maximumValidationRows^2`) beside the embeddings.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the numbers of rows and lists of labels
  /// differ, where there are fewer than two labels or no label of two rows,
  /// ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where an element is NaN or infinite, and `CancellationError`.
  ///
  /// - Parameter labels: each row's labels; empty where nothing is known.
  /// - Complexity: O(`rows * dimension^2 + dimension^3`)
  public static func fit(
    _ embeddings: EmbeddingMatrix, labels: [[String]], options: FitOptions = FitOptions(), threads: Int = 1,
    progress: Progress? = nil
  ) async throws -> (projection: LearnedProjection, report: FitReport) {
    precondition(threads > 0, "a fit needs a thread")
    precondition(
      options.maximumImageDimension > 0 && options.maximumClassDimension > 0 && options.maximumValidationRows > 1,
      "the limits of a fit are positive")
    let clock = ContinuousClock()
    let start = clock.now
    let source = try TaughtRows(embeddings, labels: labels)
    let learnable = source.learnable
    let codes = ClassCodes(
      classes: learnable.count, maximumDimension: options.maximumClassDimension, seed: options.seed)

    let all = try await Moments(embeddings, rows: Array(0..<embeddings.rows), threads: threads)
    let labelled =
      source.labelled.count == embeddings.rows
      ? all : try await Moments(embeddings, rows: source.labelled, threads: threads)
    progress?(0.1)

    var choice = Choice(strength: options.strength ?? fallback(options))
    if options.strength == nil {
      choice = try await choose(
        source, all: all, labelled: labelled, options: options, threads: threads, progress: progress)
    }
    try Task.checkCancellation()
    let statistics = ClassStatistics(
      source, all: all, rows: source.labelled, labelled: labelled, classes: learnable)
    progress?(0.9)
    let projection = try projection(statistics, choice.strength, codes)
    progress?(1)
    let seconds = (clock.now - start) / .seconds(1)
    let report = FitReport(
      images: embeddings.rows, labelledImages: source.classesOfRow.count { !$0.isEmpty },
      classes: source.members.count, learntClasses: learnable.count, inputDimension: embeddings.dimension,
      dimension: projection.dimension, strength: choice.strength, heldOutImages: choice.heldOutImages,
      heldOutClasses: choice.heldOutClasses, seconds: seconds)
    return (projection, report)
  }

  private struct Choice {
    var strength: FitStrength
    var heldOutImages: FitReport.Comparison?
    var heldOutClasses: FitReport.Comparison?
  }

  /// What is taken where there is too little to choose with.
  private static func fallback(_ options: FitOptions) -> FitStrength {
    FitStrength(
      shrinkage: 0.9, imageDimension: options.maximumImageDimension, ridge: 0.3, sharpness: 12, threshold: 0.4,
      classWeight: 1)
  }

  private static func projection(
    _ statistics: ClassStatistics, _ strength: FitStrength, _ codes: ClassCodes
  ) throws -> LearnedProjection {
    let image = try statistics.imageMap(shrinkage: strength.shrinkage, count: strength.imageDimension)
    var (matrix, bias) = (image.matrix.values.map { Float($0) }, image.bias.map { Float($0) })
    var classes = 0
    if strength.classWeight > 0 {
      let scores = try statistics.classMap(ridge: strength.ridge)
      matrix += scores.matrix.values.map { Float($0) }
      bias += scores.bias.map { Float($0) }
      classes = scores.matrix.rows
    }
    return LearnedProjection(
      inputDimension: image.matrix.columns, imageDimension: image.matrix.rows, classes: classes, matrix: matrix,
      bias: bias,
      mixture: ClassMixture(
        sharpness: Float(strength.sharpness), threshold: Float(strength.threshold),
        weight: Float(strength.classWeight)),
      codes: classes > 0 ? codes.matrix?.values.map { Float($0) } ?? [] : [])
  }

  // MARK: Cross-validation

  private static func choose(
    _ source: TaughtRows, all: Moments, labelled: Moments, options: FitOptions, threads: Int, progress: Progress?
  ) async throws -> Choice {
    let limit = options.maximumValidationRows
    var images: ValidationFold?
    if let fold = source.heldOutImages(limit: limit, seed: options.seed) {
      images = try await ValidationFold(source, fold, all: all, labelled: labelled, threads: threads)
    }
    progress?(0.15)
    var classes: [ValidationFold] = []
    for fold in source.heldOutClasses(limit: limit, seed: options.seed) {
      if let fold = try await ValidationFold(source, fold, all: all, labelled: labelled, threads: threads) {
        classes.append(fold)
      }
    }
    progress?(0.3)
    let folds = (images.map { [$0] } ?? []) + classes
    if folds.isEmpty { return Choice(strength: fallback(options)) }

    var strength = fallback(options)
    let image = try await chooseImageMap(folds, options, &strength, threads: threads)
    progress?(0.6)
    let scores = try await chooseRidge(folds, options, &strength, threads: threads)
    progress?(0.7)
    return try await chooseMixture(
      images: images, classes: classes, image, scores, options, strength, threads: threads)
  }

  /// Sets shrinkage and dimension to those of the best mean average precision, and returns the cosines of each fold.
  private static func chooseImageMap(
    _ folds: [ValidationFold], _ options: FitOptions, _ strength: inout FitStrength, threads: Int
  ) async throws -> [DenseMatrix] {
    let most = options.maximumImageDimension
    let counts = imageDimensions.filter { $0 < most } + [most]
    let columns = try await concurrently(folds.count * shrinkages.count, threads: threads) { i in
      try Task.checkCancellation()
      return try folds[i / shrinkages.count].imageColumns(shrinkage: shrinkages[i % shrinkages.count], count: most)
    }
    let found = try await concurrently(columns.count * counts.count, threads: threads) { i in
      try Task.checkCancellation()
      let cosines = ValidationFold.cosines(columns[i / counts.count], first: counts[i % counts.count])
      return folds[i / counts.count / shrinkages.count].retrieval(image: cosines).meanAveragePrecision
    }
    // Held-out classes count as much as held-out images, in however many folds they are.
    let candidates = shrinkages.count * counts.count
    func score(_ candidate: Int) -> Double {
      let each = folds.indices.map { found[$0 * candidates + candidate] }
      return folds.count == 3 ? each[0] + (each[1] + each[2]) / 2 : each.reduce(0, +)
    }
    var best = 0
    for candidate in 0..<candidates where score(candidate) > score(best) { best = candidate }
    strength.shrinkage = shrinkages[best / counts.count]
    strength.imageDimension = min(counts[best % counts.count], columns[0].rows)
    let (chosen, count) = (best / counts.count, strength.imageDimension)
    return try await concurrently(folds.count, threads: threads) { fold in
      ValidationFold.cosines(columns[fold * shrinkages.count + chosen], first: count)
    }
  }

  /// Sets the ridge with which class probabilities alone are best on the first fold, and returns the scores of each fold.
  private static func chooseRidge(
    _ folds: [ValidationFold], _ options: FitOptions, _ strength: inout FitStrength, threads: Int
  ) async throws -> [DenseMatrix] {
    let found = try await concurrently(ridges.count, threads: threads) { i in
      try Task.checkCancellation()
      let scores = try folds[0].scoreColumns(ridge: ridges[i])
      let products = ValidationFold.classProducts(
        scores, sharpness: 18, threshold: 0.1, codes: codes(scores, options))
      let cosines = ValidationFold.cosinesOfProducts(products)
      return folds[0].retrieval(image: cosines).meanAveragePrecision
    }
    var best = 0
    for i in ridges.indices where found[i] > found[best] { best = i }
    strength.ridge = ridges[best]
    let ridge = strength.ridge
    return try await concurrently(folds.count, threads: threads) { try folds[$0].scoreColumns(ridge: ridge) }
  }

  private static func codes(_ scores: DenseMatrix, _ options: FitOptions) -> ClassCodes {
    ClassCodes(classes: scores.rows, maximumDimension: options.maximumClassDimension, seed: options.seed)
  }

  /// Chooses the mixture that finds held-out images best, of those that do not find held-out classes worse than the raw
  /// embeddings do.
  private static func chooseMixture(
    images: ValidationFold?, classes: [ValidationFold], _ image: [DenseMatrix], _ scores: [DenseMatrix],
    _ options: FitOptions, _ strength: FitStrength, threads: Int
  ) async throws -> Choice {
    let folds = (images.map { [$0] } ?? []) + classes
    var candidates = [strength]
    candidates[0].classWeight = 0
    for sharpness in sharpnesses {
      for threshold in thresholds {
        for weight in classWeights {
          var candidate = strength
          candidate.sharpness = sharpness
          candidate.threshold = threshold
          candidate.classWeight = weight
          candidates.append(candidate)
        }
      }
    }
    // A task makes the class products once for all weights.
    let groups =
      [[0]]
      + stride(from: 1, to: candidates.count, by: classWeights.count).map {
        Array($0..<$0 + classWeights.count)
      }
    let all = candidates
    let found = try await concurrently(folds.count * groups.count, threads: threads) { i in
      try Task.checkCancellation()
      let (fold, group) = (i / groups.count, groups[i % groups.count])
      let first = all[group[0]]
      if first.classWeight == 0 { return [folds[fold].retrieval(image: image[fold])] }
      let products = ValidationFold.classProducts(
        scores[fold], sharpness: first.sharpness, threshold: first.threshold, codes: codes(scores[fold], options))
      return group.map {
        folds[fold].retrieval(image: image[fold], classes: products, weight: all[$0].classWeight)
      }
    }
    let retrievals = folds.indices.map { fold in
      Array(found[fold * groups.count..<(fold + 1) * groups.count].joined())
    }
    let ofImages = images == nil ? nil : retrievals[0]
    let ofClasses = candidates.indices.map { candidate in
      FitReport.Retrieval(mean: retrievals.suffix(classes.count).map { $0[candidate] })
    }
    let raw = FitReport.Retrieval(mean: classes.map(\.raw))
    // More classes are taught in the end than in a fold, so that more pictures of other kinds are taken for one of them: a
    // candidate keeps most of what the image part gains, which has no classes.
    let unclassed = ofClasses[0]
    func limit(_ value: KeyPath<FitReport.Retrieval, Double>) -> Double {
      let (raw, unclassed) = (raw[keyPath: value], unclassed[keyPath: value])
      return unclassed - max(0, unclassed - raw) * 0.3
    }
    func isHarmless(_ candidate: Int) -> Bool {
      classes.isEmpty
        || (ofClasses[candidate].precisionAt1 >= limit(\.precisionAt1)
          && ofClasses[candidate].meanAveragePrecision >= limit(\.meanAveragePrecision))
    }
    func score(_ candidate: Int) -> Double {
      guard let ofImages else { return ofClasses[candidate].meanAveragePrecision }
      return ofImages[candidate].precisionAt1 + ofImages[candidate].meanAveragePrecision
    }
    var best = 0
    for candidate in candidates.indices where isHarmless(candidate) && score(candidate) > score(best) {
      best = candidate
    }
    var choice = Choice(strength: candidates[best])
    if let images, let ofImages {
      choice.heldOutImages = FitReport.Comparison(images: images.count, raw: images.raw, fitted: ofImages[best])
    }
    if !classes.isEmpty {
      choice.heldOutClasses = FitReport.Comparison(
        images: classes.reduce(0) { $0 + $1.count }, raw: raw, fitted: ofClasses[best])
    }
    return choice
  }
}

extension FitReport.Retrieval {
  /// The mean of each figure; zeros for none.
  fileprivate init(mean each: [FitReport.Retrieval]) {
    let divisor = Double(max(1, each.count))
    self.init(
      precisionAt1: each.reduce(0) { $0 + $1.precisionAt1 } / divisor,
      meanAveragePrecision: each.reduce(0) { $0 + $1.meanAveragePrecision } / divisor)
  }
}
