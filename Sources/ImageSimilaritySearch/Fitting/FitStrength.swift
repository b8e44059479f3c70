/// How strongly a projection follows the labels it is learnt from.
public struct FitStrength: Sendable, Hashable, Codable {
  /// The part of the identity in the covariance within classes that is whitened, over 0 to 1 (Friedman, Regularized
  /// Discriminant Analysis, 1989). 1: nothing is whitened.
  public var shrinkage: Double
  /// Directions that are kept of the whitened embedding, the ones that vary most.
  public var imageDimension: Int
  /// What ridge regression from embeddings to classes adds to the diagonal of the scatter matrix, in units of the diagonal's
  /// mean.
  public var ridge: Double
  /// The class probabilities' inverse temperature.
  public var sharpness: Double
  /// The class score at which a class is as probable as none.
  public var threshold: Double
  /// The length of the class part where a class is certain; the rest has length 1. 0: no class part.
  public var classWeight: Double

  public init(
    shrinkage: Double, imageDimension: Int, ridge: Double, sharpness: Double, threshold: Double, classWeight: Double
  ) {
    self.shrinkage = shrinkage
    self.imageDimension = imageDimension
    self.ridge = ridge
    self.sharpness = sharpness
    self.threshold = threshold
    self.classWeight = classWeight
  }

  private enum CodingKeys: String, CodingKey {
    case shrinkage
    case imageDimension = "image_dimension"
    case ridge
    case sharpness
    case threshold
    case classWeight = "class_weight"
  }
}

/// What ``ProjectionFit/fit(_:labels:options:threads:progress:)`` may be told.
public struct FitOptions: Sendable, Hashable {
  /// The most elements that the embedding's part of the result has; at least 1.
  public var maximumImageDimension = 256
  /// The most elements that the classes' part of the result has: more classes than that are mixed. At least 1.
  public var maximumClassDimension = 128
  /// A strength that is not chosen by cross-validation, but as it is. The report then has no figures.
  public var strength: FitStrength?
  /// The most rows that one cross-validation compares with each other; at least 2.
  public var maximumValidationRows = 1200
  /// The folds are drawn with it: the same seed, rows and labels give the same projection.
  public var seed: UInt64 = 1

  public init() {}
}

/// What a fit learnt from, and what it gained.
public struct FitReport: Sendable, Hashable, Codable {
  /// Retrieval among rows that the fold's projection was not learnt from, each in turn the query: means over those with at
  /// least one other of their label.
  public struct Comparison: Sendable, Hashable, Codable {
    /// Rows that are queries and are searched.
    public var images: Int
    public var raw: Retrieval
    public var fitted: Retrieval
  }

  public struct Retrieval: Sendable, Hashable, Codable {
    /// As in ``RetrievalEvaluation/precisionAt1``.
    public var precisionAt1: Double
    /// As in ``RetrievalEvaluation/meanAveragePrecision``.
    public var meanAveragePrecision: Double

    private enum CodingKeys: String, CodingKey {
      case precisionAt1 = "precision_at_1"
      case meanAveragePrecision = "mean_average_precision"
    }
  }

  /// Rows.
  public var images: Int
  /// Rows with a label.
  public var labelledImages: Int
  /// Labels.
  public var classes: Int
  /// Labels of at least two rows: those that can be learnt.
  public var learntClasses: Int
  /// Elements of an embedding before and after.
  public var inputDimension: Int
  public var dimension: Int
  public var strength: FitStrength
  /// Other images of the learnt classes: by half of each class's images, or fewer. Nil where too few classes have four
  /// images, or the strength was given.
  public var heldOutImages: Comparison?
  /// Classes that were not learnt from, compared among themselves: each half of the classes by the other. Nil where there
  /// are fewer than six classes of two images, or the strength was given.
  public var heldOutClasses: Comparison?
  /// Wall-clock time of the fit.
  public var seconds: Double

  private enum CodingKeys: String, CodingKey {
    case images
    case labelledImages = "labelled_images"
    case classes
    case learntClasses = "learnt_classes"
    case inputDimension = "input_dimension"
    case dimension
    case strength
    case heldOutImages = "held_out_images"
    case heldOutClasses = "held_out_classes"
    case seconds
  }
}
