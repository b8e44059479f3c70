public import ImageSimilarityCore
public import ImageSimilaritySearch

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What distances in a model mean: the probability that two pictures are the same picture, and that they show the same kind of
/// thing.
///
/// A probability speaks of a population, which ``Source`` tells. It also depends on how many pictures there are: the more, the
/// nearer are others to any query. Learn anew when a collection has grown to a multiple.
public struct SimilarityCalibration: Sendable, Hashable, Codable {
  /// What was learnt from.
  public enum Source: String, Sendable, Hashable, Codable {
    /// ``SimilarityModel/calibrateSamePicture(_:progress:)``: a query that is an edited copy of a picture of the model as often
    /// as ``CopyCalibrationOptions/copyShare`` says, and one of its nearest neighbours.
    case editedCopies = "edited-copies"
    /// ``SimilarityModel/calibrateSameKind(_:progress:)``: a picture of the model and one of its nearest neighbours.
    case labels
    /// ``SimilarityModel/calibrate(on:baseRate:)``: pairs that somebody judged.
    case pairs
  }

  /// A mapping, and what it was learnt from.
  public struct Part: Sendable, Hashable, Codable {
    public var mapping: DistanceCalibration
    public var source: Source
    /// Pictures that stood for queries.
    public var queries: Int
    /// Pictures of the model that could not be read, or had no label, or were taken for copies of one another, and so left out;
    /// see the function that learnt.
    public var leftOut: Int
    /// How many pictures the model held.
    public var images: Int

    private enum CodingKeys: String, CodingKey {
      case mapping, source, queries, images
      case leftOut = "left_out"
    }
  }

  /// The embeddings whose distances it is about.
  public let fingerprint: ExtractorFingerprint
  public let metric: Metric
  /// "The same picture": a copy, edited or not.
  public var samePicture: Part?
  /// "The same kind of thing": a picture of the same label.
  public var sameKind: Part?

  private enum CodingKeys: String, CodingKey {
    case fingerprint, metric
    case samePicture = "same_picture"
    case sameKind = "same_kind"
  }

  /// A calibration of a model that has learnt nothing yet.
  public init(of model: SimilarityModel) {
    fingerprint = model.fingerprint
    metric = model.metric
  }

  /// The probability that a picture at this distance is the same picture, from 0 to 1; nil where that was not learnt.
  public func probabilityOfSamePicture(atDistance distance: Float) -> Double? {
    samePicture?.mapping.probability(ofDistance: distance)
  }

  /// The probability that a picture at this distance shows the same kind of thing, from 0 to 1; nil where that was not learnt.
  public func probabilityOfSameKind(atDistance distance: Float) -> Double? {
    sameKind?.mapping.probability(ofDistance: distance)
  }
}

extension SimilarityModel {
  private static let calibrationName = "similarity-calibration"

  /// What ``setSimilarityCalibration(_:)`` stored; nil where there is nothing.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/fingerprintMismatch`` where it is about other embeddings than the model
  ///   has now, because it learnt a metric, or forgot one, since.
  public var similarityCalibration: SimilarityCalibration? {
    get throws(SimilarityError) {
      guard let found = try attachment(Self.calibrationName, as: SimilarityCalibration.self) else { return nil }
      try requireCompatible(found)
      return found
    }
  }

  /// Stores a calibration with the model, in one commit, or removes it where nil.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/fingerprintMismatch`` where it is about other embeddings.
  public func setSimilarityCalibration(_ calibration: SimilarityCalibration?) async throws {
    if let calibration { try requireCompatible(calibration) }
    try await setAttachment(Self.calibrationName, calibration)
  }

  private func requireCompatible(_ calibration: SimilarityCalibration) throws(SimilarityError) {
    guard calibration.fingerprint == fingerprint, calibration.metric == metric else {
      throw SimilarityError(
        .fingerprintMismatch,
        "the similarity calibration is about \(calibration.metric.rawValue) distances of (\(calibration.fingerprint)), and "
          + "\(url.path) now has \(metric.rawValue) distances of (\(fingerprint)): calibrate it again")
    }
  }
}
