internal import ImageSimilarityKit

/// Columns that are as wide as their widest cell; the first is flush left, the others as wanted.
struct AlignedColumns {
  private var lines: [[String]] = []

  mutating func add(_ cells: [String]) { lines.append(cells) }

  var text: String {
    let count = lines.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in lines.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return lines.map { cells in
      let line = cells.enumerated().map { $1.padded(to: widths[$0]) }.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }.joined(separator: "\n")
  }
}

extension RetrievalMeasure {
  var title: String {
    switch self {
    case .precision(let k): "precision at \(k)"
    case .recall(let k): "recall at \(k)"
    case .ndcg(let k): "NDCG at \(k)"
    case .averagePrecision: "mean average precision"
    case .fullNDCG: "NDCG"
    case .rPrecision: "R-precision"
    case .averagePrecisionAtR: "MAP@R"
    case .reciprocalRank: "mean reciprocal rank"
    }
  }

  /// Whether it is at none but these ranks.
  func isShown(ranks: [Int]) -> Bool {
    switch self {
    case .precision(let k), .recall(let k), .ndcg(let k): ranks.contains(k)
    default: true
    }
  }
}

extension MeasureEstimate {
  var text: String { value.formatted(digits: 4) + (interval.map { " " + $0.text(signed: false) } ?? "") }
}

extension MeasureDifference {
  var text: String {
    let p = pValue.map { "  p \($0 < 0.001 ? "< 0.001" : $0.formatted(digits: 3))" } ?? ""
    return value.signed + (interval.map { " " + $0.text(signed: true) } ?? "") + p
  }
}

extension ClosedRange<Double> {
  fileprivate func text(signed: Bool) -> String {
    signed
      ? "[\(lowerBound.signed), \(upperBound.signed)]"
      : "[\(lowerBound.formatted(digits: 4)), \(upperBound.formatted(digits: 4))]"
  }
}

extension Double {
  fileprivate var signed: String {
    let text = formatted(digits: 4)
    return self > 0 ? "+" + text : text
  }
}

extension RetrievalEvaluation {
  fileprivate var head: String {
    var lines = [
      "images   \(images)", "classes  \(classes)",
      "queries  \(queries)" + (leftOut > 0 ? " (\(leftOut) left out: nothing else has a label of theirs)" : ""),
    ]
    if resamples > 0 {
      let percent = (confidence * 100).formatted(digits: 1)
      lines.append(
        "[...]    \(percent.hasSuffix(".0") ? String(percent.dropLast(2)) : percent) % confidence, \(resamples) resamples"
      )
    }
    return lines.joined(separator: "\n")
  }

  func text(ranks: [Int], worst: Int, perClass: Bool) -> String {
    var table = AlignedColumns()
    table.add(["", "over queries", "over classes"])
    for measure in measures where measure.isShown(ranks: ranks) {
      guard let overall = overall[measure], let macro = macro[measure] else { continue }
      table.add([measure.title, overall.text, macro.text])
    }
    var parts = [head, table.text]
    if perClass { parts.append(classTable(self.perClass, title: "class", ranks: ranks)) }
    let shown = Array(worstClasses.prefix(worst))
    if !shown.isEmpty { parts.append(classTable(shown, title: "worst classes", ranks: ranks)) }
    return parts.joined(separator: "\n\n")
  }

  private func classTable(_ classes: [ClassEvaluation], title: String, ranks: [Int]) -> String {
    let first = RetrievalMeasure.precision(at: ranks.first ?? 1)
    var table = AlignedColumns()
    table.add([title, "images", "average precision", first.title, "taken for"])
    for found in classes {
      guard let precision = found.measures[.averagePrecision], let atFirst = found.measures[first] else {
        table.add([found.name, "\(found.images)", "no query"])
        continue
      }
      table.add([
        found.name, "\(found.images)", precision.text, atFirst.value.formatted(digits: 4), found.confusionText,
      ])
    }
    return table.text
  }
}

extension ClassEvaluation {
  fileprivate var name: String { label.isEmpty ? "(no label)" : label }

  /// The classes that stand in its first ranks, with their parts of these.
  fileprivate var confusionText: String {
    confusions.prefix(3).map { confusion in
      let percent = Double(confusion.count) * 100 / Double(max(1, firstRanks))
      return "\(confusion.label.isEmpty ? "(no label)" : confusion.label) \(percent.formatted(digits: 0)) %"
    }.joined(separator: ", ")
  }
}

extension RetrievalComparison {
  func text(ranks: [Int], worst: Int, perClass: Bool) -> String {
    guard let first = entries.first else { return "" }
    var table = AlignedColumns()
    table.add(["", "model", "over queries", "difference to \(first.name)"])
    for measure in first.evaluation.measures where measure.isShown(ranks: ranks) {
      for (number, entry) in entries.enumerated() {
        table.add([
          number == 0 ? measure.title : "", entry.name, entry.evaluation.overall[measure]?.text ?? "",
          entry.differences[measure]?.text ?? "",
        ])
      }
    }
    let left = notShared > 0 ? "\n\(notShared.counted("picture")) left out: not in all models" : ""
    var parts = [first.evaluation.head + left, table.text]
    let byClass = first.evaluation.perClass
    if perClass { parts.append(classTable(byClass.map(\.label), title: "class")) }
    let shown = first.evaluation.worstClasses.prefix(worst).map(\.label)
    if !shown.isEmpty { parts.append(classTable(shown, title: "worst classes of \(first.name)")) }
    return parts.joined(separator: "\n\n")
  }

  /// The average precision of each class in each model.
  private func classTable(_ labels: [String], title: String) -> String {
    var table = AlignedColumns()
    table.add([title, "images"] + entries.map(\.name))
    let classes = entries.map { entry in
      Dictionary(uniqueKeysWithValues: entry.evaluation.perClass.map { ($0.label, $0) })
    }
    for label in labels {
      let found = classes.map { $0[label] }
      table.add(
        [found.first??.name ?? label, "\(found.first??.images ?? 0)"]
          + found.map { $0?.measures[.averagePrecision]?.text ?? "no query" })
    }
    return table.text
  }
}

// MARK: - Comma-separated values

extension RetrievalEvaluation {
  static let csvHeader = "model,scope,class,images,queries,measure,value,lower,upper"

  /// A line per measure over all queries, over the classes, and of each class.
  func csvLines(model: String) -> [String] {
    func line(
      _ scope: String, _ label: String, _ images: Int, _ queries: Int, _ measure: RetrievalMeasure,
      _ found: MeasureEstimate
    ) -> String {
      ([model.csvField, scope, label.csvField, "\(images)", "\(queries)", measure.name, "\(found.value)"]
        + [found.interval?.lowerBound, found.interval?.upperBound].map { $0.map { "\($0)" } ?? "" })
        .joined(separator: ",")
    }
    var lines: [String] = []
    for (scope, means) in [("queries", overall), ("classes", macro)] {
      for measure in measures {
        if let found = means[measure] { lines.append(line(scope, "", images, queries, measure, found)) }
      }
    }
    for found in perClass {
      for measure in measures {
        guard let estimate = found.measures[measure] else { continue }
        lines.append(line("class", found.label, found.images, found.queries, measure, estimate))
      }
    }
    return lines
  }
}

extension String {
  /// As RFC 4180 writes it.
  fileprivate var csvField: String {
    guard contains(where: { ",\"\r\n".contains($0) || $0 == "\r\n" }) else { return self }
    var quoted = "\""
    for character in self { quoted += character == "\"" ? "\"\"" : String(character) }
    return quoted + "\""
  }
}
