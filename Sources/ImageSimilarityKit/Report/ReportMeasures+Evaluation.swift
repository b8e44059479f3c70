public import ImageSimilaritySearch

extension ReportMeasures {
  /// Evaluations of the same pictures, a column each; classes are those of the first, the worst first.
  ///
  /// - Parameter evaluations: What each is called, the model's name for example, and what it is. At least one.
  public init(_ evaluations: [(name: String, evaluation: RetrievalEvaluation)], title: String = "Evaluation") {
    precondition(!evaluations.isEmpty, "a table of measures has at least one column")
    let first = evaluations[0].evaluation
    let perCent = (first.confidence * 100).rounded().formattedWhole
    let intervals = first.resamples > 0 ? " The ranges are \(perCent) % confidence intervals by the bootstrap." : ""
    self.init(
      title: title,
      summary: "\(first.queries) of \(first.images) pictures, in \(first.classes) classes, are queries in turn; "
        + "all others are ranked by distance.\(intervals)",
      columns: evaluations.map(\.name),
      rows: first.measures.map { measure in
        Row(measure.title, evaluations.map { $0.evaluation.overall[measure].map(Estimate.init) })
      },
      classMeasure: RetrievalMeasure.averagePrecision.title,
      classes: first.worstClasses.compactMap(Class.init))
  }
}

extension ReportMeasures.Estimate {
  fileprivate init(_ estimate: MeasureEstimate) { self.init(estimate.value, interval: estimate.interval) }
}

extension ReportMeasures.Class {
  fileprivate init?(_ found: ClassEvaluation) {
    guard let estimate = found.measures[.averagePrecision] else { return nil }
    self.init(
      label: found.label, images: found.images, estimate: ReportMeasures.Estimate(estimate),
      confusions: found.confusions.map {
        ReportProbability($0.label, Double($0.count) / Double(max(1, found.firstRanks)))
      })
  }
}

extension RetrievalMeasure {
  /// As people say it: its name with spaces.
  fileprivate var title: String { name.split(separator: "_").joined(separator: " ") }
}

extension Double {
  fileprivate var formattedWhole: String { isFinite && abs(self) < 1e9 ? String(Int(self)) : "\(self)" }
}
