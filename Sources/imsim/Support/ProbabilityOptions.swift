internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Whether hits show what their distances mean.
struct ProbabilityOptions: ParsableArguments {
  @Flag(
    help: """
      Also show how probable it is that a hit is the same picture, and the same kind of thing; 'imsim thresholds' learns that \
      first.
      """)
  var probability = false

  /// What the model has learnt; nil where it is not wanted.
  func calibration(of model: SimilarityModel) throws(SimilarityError) -> SimilarityCalibration? {
    guard probability else { return nil }
    guard let calibration = try model.similarityCalibration else {
      throw SimilarityError(
        .invalidArgument,
        "\(model.url.path) does not know what its distances mean yet: run 'imsim thresholds' with it first")
    }
    return calibration
  }
}

/// The probabilities of a hit, for its line of JSON.
struct HitProbabilities: Encodable {
  /// Nil where that was not learnt; then it is left out.
  var samePicture: Double?
  var sameKind: Double?

  enum CodingKeys: String, CodingKey {
    case samePicture = "p_same_picture"
    case sameKind = "p_same_kind"
  }

  /// All nil without a calibration.
  init(_ distance: Float, _ calibration: SimilarityCalibration?) {
    samePicture = calibration?.probabilityOfSamePicture(atDistance: distance)
    sameKind = calibration?.probabilityOfSameKind(atDistance: distance)
  }

  /// For example `same picture 98 %, same kind 99 %`; empty where nothing was learnt.
  var text: String {
    [samePicture.map { "same picture \(Self.percent($0))" }, sameKind.map { "same kind \(Self.percent($0))" }]
      .compactMap { $0 }.joined(separator: ", ")
  }

  /// Nothing but certainty is 0 or 100 %.
  static func percent(_ probability: Double) -> String {
    if probability > 0, probability < 0.005 { return "under 1 %" }
    if probability < 1, probability >= 0.995 { return "over 99 %" }
    return "\((probability * 100).formatted(digits: 0)) %"
  }
}
