internal import ImageSimilarityKit

/// What a calibration says, as text and as JSON.
struct ThresholdTable: Encodable {
  private struct Row: Encodable {
    /// The precision that was asked for.
    var wanted: Double
    /// Nil where no distance has it.
    var distance: Float?
    var precision: Double?
    var precisionBound: Double?
    var recall: Double?

    enum CodingKeys: String, CodingKey {
      case wanted, distance, precision, recall
      case precisionBound = "precision_at_least"
    }
  }

  private static let precisions = [0.9, 0.95, 0.99, 0.999]
  private static let usualConfidence = 0.95

  let name: String
  private let title: String
  private let part: SimilarityCalibration.Part
  private let rows: [Row]
  private let confidence: Double

  /// - Parameter wanted: Precisions beside the usual ones.
  init?(_ name: String, _ title: String, _ part: SimilarityCalibration.Part?, _ wanted: [Double], _ confidence: Double?)
  {
    guard let part else { return nil }
    self.name = name
    self.title = title
    self.part = part
    let boundConfidence = confidence ?? Self.usualConfidence
    self.confidence = boundConfidence
    rows = Set(Self.precisions + wanted).sorted().map { precision in
      let point = part.mapping.precisionCurve.threshold(forPrecision: precision, confidence: confidence)
      return Row(
        wanted: precision, distance: point?.distance, precision: point?.precision,
        precisionBound: point?.precisionBound(confidence: boundConfidence), recall: point?.recall)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case source, queries, images, positives, negatives, method, confidence, thresholds, quality
    case leftOut = "left_out"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(part.source, forKey: .source)
    try container.encode(part.queries, forKey: .queries)
    try container.encode(part.leftOut, forKey: .leftOut)
    try container.encode(part.images, forKey: .images)
    try container.encode(part.mapping.positives, forKey: .positives)
    try container.encode(part.mapping.negatives, forKey: .negatives)
    try container.encode(part.mapping.method, forKey: .method)
    try container.encode(confidence, forKey: .confidence)
    try container.encode(rows, forKey: .thresholds)
    try container.encode(part.mapping.quality, forKey: .quality)
  }

  var text: String {
    let mapping = part.mapping
    var lines = [
      title,
      "  learnt from \(mapping.positives.counted("pair")) that are the same and \(mapping.negatives) that are not, of "
        + "\(part.queries.counted("picture")) (\(part.source.rawValue))",
    ]
    if part.leftOut > 0 { lines.append("  left out: \(leftOut)") }
    lines += ["", "  precision  distance  at least  recall"]
    for row in rows {
      let wanted = "  " + row.wanted.formatted(digits: 3).padded(to: 9)
      guard let distance = row.distance, let bound = row.precisionBound, let recall = row.recall else {
        lines.append(wanted + "  no distance is that sure")
        continue
      }
      lines.append(
        wanted + "  " + distance.formatted(digits: 4).padded(to: 8) + "  " + bound.formatted(digits: 3).padded(to: 8)
          + "  " + recall.formatted(digits: 3))
    }
    lines += ["", "  probability  was so  of the pairs"]
    for bin in Self.joined(mapping.quality.bins) {
      lines.append(
        "  " + bin.probability.formatted(digits: 3).padded(to: 11) + "  "
          + bin.observed.formatted(digits: 3).padded(to: 6)
          + "  " + bin.share.formatted(digits: 3))
    }
    lines.append(
      "  expected calibration error \(mapping.quality.expectedCalibrationError.formatted(digits: 4)), Brier score "
        + "\(mapping.quality.brierScore.formatted(digits: 4)), log loss \(mapping.quality.logLoss.formatted(digits: 4))"
    )
    return lines.joined(separator: "\n")
  }

  private var leftOut: String {
    switch part.source {
    case .editedCopies: "\(part.leftOut.counted("picture")), unreadable or taken for copies of others"
    case .labels, .pairs: "\(part.leftOut.counted("picture")) without a label"
    }
  }

  /// Bins that say nearly the same are one line.
  private static func joined(_ bins: [CalibrationQuality.Bin]) -> [CalibrationQuality.Bin] {
    bins.reduce(into: []) { lines, bin in
      guard let last = lines.last, bin.probability - last.probability < 0.005 else { return lines.append(bin) }
      let share = last.share + bin.share
      var joined = last
      joined.probability = (last.probability * last.share + bin.probability * bin.share) / share
      joined.observed = (last.observed * last.share + bin.observed * bin.share) / share
      joined.share = share
      joined.pairs += bin.pairs
      lines[lines.count - 1] = joined
    }
  }
}
