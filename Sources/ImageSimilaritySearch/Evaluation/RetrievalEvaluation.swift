public import ImageSimilarityCore

/// How well embeddings find images with a label of theirs, leaving one out: each query in turn ranks all other images by their
/// distance from it, at equal distance the lower row first.
///
/// Distances are those of ``ExactIndex``. An image is relevant to a query where the two have a label in common. A query to which
/// nothing is relevant can find nothing; it is left out of the means, and stays among the others for the rest.
///
/// The confidence intervals are those of the bootstrap over the queries, by the percentile method (Efron and Tibshirani, An
/// Introduction to the Bootstrap, chapter 13): as many queries as there are, drawn with replacement, again and again. They say how
/// much the means depend on which queries there happen to be, the other images being what they are.
public struct RetrievalEvaluation: Sendable, Hashable, Codable {
  /// ``RetrievalMeasure/precision(at:)`` 1: the part of the queries whose nearest other image is relevant.
  public var precisionAt1: Double
  /// ``RetrievalMeasure/precision(at:)`` 5, averaged over the queries.
  public var precisionAt5: Double
  /// ``RetrievalMeasure/averagePrecision``, averaged over the queries.
  public var meanAveragePrecision: Double
  /// Number of images.
  public var images: Int
  /// Number of labels.
  public var classes: Int
  /// Number of images that were to be queries and are not, because nothing is relevant to them.
  public var leftOut: Int
  /// Number of queries that the means are over. Where it is 0, the means are.
  public var queries: Int
  /// What was measured, in the order in which to show it.
  public var measures: [RetrievalMeasure]
  /// The means over all queries (micro).
  public var overall: [RetrievalMeasure: MeasureEstimate]
  /// The means over the classes that have queries, of the means over each one's queries (macro): classes with few images
  /// count as much as those with many.
  public var macro: [RetrievalMeasure: MeasureEstimate]
  /// All classes, in ascending order of their labels.
  public var perClass: [ClassEvaluation]
  /// The confidence of the intervals.
  public var confidence: Double
  /// How many times the queries were drawn for the intervals.
  public var resamples: Int

  private enum CodingKeys: String, CodingKey {
    case precisionAt1 = "precision_at_1"
    case precisionAt5 = "precision_at_5"
    case meanAveragePrecision = "mean_average_precision"
    case images, classes, queries, measures, overall, macro, confidence, resamples
    case leftOut = "left_out"
    case perClass = "per_class"
  }

  /// The classes that have queries, those with the lowest mean average precision first; at equal precision in ascending order of
  /// their labels.
  public var worstClasses: [ClassEvaluation] {
    let precision = { (found: ClassEvaluation) in found.measures[.averagePrecision]?.value ?? 0 }
    return perClass.filter { $0.queries > 0 }.sorted { (precision($0), $0.label) < (precision($1), $1.label) }
  }

  /// Evaluates the rows of `embeddings`, `[labels.count, dimension]`, each of which has one label.
  ///
  /// Errors and cost are those of ``init(leaveOneOut:labelSets:metric:options:threads:)``.
  public init(
    leaveOneOut embeddings: EmbeddingMatrix, labels: [String], metric: Metric = .cosine,
    options: EvaluationOptions = EvaluationOptions(), threads: Int = 1
  ) async throws {
    try await self.init(
      leaveOneOut: embeddings, labelSets: labels.map { [$0] }, metric: metric, options: options, threads: threads)
  }

  /// Evaluates the rows of `embeddings`, `[labelSets.count, dimension]`, each of which has any number of labels.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where the numbers of rows and labels differ or an
  /// option is out of its range, ``ImageSimilarityCore/SimilarityError/Code/notFinite`` where an element is NaN or infinite,
  /// and `CancellationError`.
  ///
  /// - Parameter threads: how many threads to use at most; the result does not depend on it.
  /// - Complexity: O(`rows^2 * (dimension + log(rows))`) time for the distances, O(`resamples * rows * measures`) for the intervals.
  ///   Memory: O(`rows * measures + resamples * measures`), and O(`rows`) a thread.
  public init(
    leaveOneOut embeddings: EmbeddingMatrix, labelSets: [[String]], metric: Metric = .cosine,
    options: EvaluationOptions = EvaluationOptions(), threads: Int = 1
  ) async throws {
    try options.validate()
    let scores = try await RetrievalScores(
      leaveOneOut: embeddings, labelSets: labelSets, metric: metric, ranks: options.ranks, threads: threads)
    try await self.init(scores, options: options, threads: threads)
  }

  /// Sums up the scores of queries. ``EvaluationOptions/ranks`` play no part any more.
  ///
  /// Throws ``ImageSimilarityCore/SimilarityError/Code/invalidArgument`` where an option is out of its range, and
  /// `CancellationError`.
  public init(
    _ scores: RetrievalScores, options: EvaluationOptions = EvaluationOptions(), threads: Int = 1
  ) async throws {
    let resampled = try await ResampledMeans(scores, options, threads: threads)
    try await self.init(scores, resampled, options, threads: threads)
  }

  init(
    _ scores: RetrievalScores, _ resampled: ResampledMeans, _ options: EvaluationOptions, threads: Int
  ) async throws {
    measures = scores.measures
    queries = scores.queries.count
    images = scores.images
    classes = scores.classes.count
    leftOut = scores.leftOut
    confidence = options.confidence
    resamples = options.resamples
    perClass = try await ClassEvaluation.all(scores, options, threads: threads)
    let micro = scores.mean(over: scores.queries.indices)
    let macro = scores.macroMean()
    overall = resampled.estimates(scores.measures, means: micro, resampled.micro)
    self.macro = resampled.estimates(scores.measures, means: macro, resampled.macro)
    precisionAt1 = overall[.precision(at: 1)]?.value ?? 0
    precisionAt5 = overall[.precision(at: 5)]?.value ?? 0
    meanAveragePrecision = overall[.averagePrecision]?.value ?? 0
  }
}
