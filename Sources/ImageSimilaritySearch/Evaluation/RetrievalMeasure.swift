/// A number from 0 to 1 that says how good the ranking is that a query gives, 1 being perfect.
///
/// R is how many images are relevant to the query, and `k` a rank; the nearest image has rank 1.
///
/// In JSON, a measure is its ``name``.
public enum RetrievalMeasure: Sendable, Hashable {
  /// The relevant images among the first `k`, divided by `k` even where there are fewer than `k` relevant images or others.
  case precision(at: Int)
  /// The relevant images among the first `k`, divided by R. (What papers on metric learning call recall at k is 1 wherever
  /// there is one relevant image among the first `k`; that is another measure.)
  case recall(at: Int)
  /// Normalised discounted cumulative gain of the first `k` (Järvelin and Kekäläinen, Cumulated Gain-based Evaluation of IR
  /// Techniques, 2002), with gain 1 for a relevant image, 0 for others, and the discount `1 / log2(rank + 1)`: the sum of the
  /// discounts at the ranks of relevant images, divided by that of the ranks from 1 to `min(k, R)`.
  case ndcg(at: Int)
  /// The mean, over the relevant images, of the precision at their ranks, in the complete ranking (Manning, Raghavan, Schütze,
  /// Introduction to Information Retrieval, section 8.4). Its mean over queries is the mean average precision.
  case averagePrecision
  /// ``ndcg(at:)`` of the complete ranking.
  case fullNDCG
  /// The precision at rank R.
  case rPrecision
  /// ``averagePrecision`` of the first R ranks, divided by R: MAP@R (Musgrave, Belongie, Lim, A Metric Learning Reality Check,
  /// 2020).
  case averagePrecisionAtR
  /// 1 divided by the rank of the first relevant image.
  case reciprocalRank
}

extension RetrievalMeasure {
  /// `precision_at_5`, `recall_at_5`, `ndcg_at_5`, `mean_average_precision`, `ndcg`, `r_precision`, `map_at_r` or
  /// `mean_reciprocal_rank`.
  public var name: String {
    switch self {
    case .precision(let k): "precision_at_\(k)"
    case .recall(let k): "recall_at_\(k)"
    case .ndcg(let k): "ndcg_at_\(k)"
    case .averagePrecision: "mean_average_precision"
    case .fullNDCG: "ndcg"
    case .rPrecision: "r_precision"
    case .averagePrecisionAtR: "map_at_r"
    case .reciprocalRank: "mean_reciprocal_rank"
    }
  }

  /// The measure of a ``name``.
  public init?(name: String) {
    let fixed: [RetrievalMeasure] = [
      .averagePrecision, .fullNDCG, .rPrecision, .averagePrecisionAtR, .reciprocalRank,
    ]
    if let found = fixed.first(where: { $0.name == name }) {
      self = found
      return
    }
    guard let mark = name.lastIndex(of: "_"), let k = Int(name[name.index(after: mark)...]), k > 0 else { return nil }
    switch name[..<mark] {
    case "precision_at": self = .precision(at: k)
    case "recall_at": self = .recall(at: k)
    case "ndcg_at": self = .ndcg(at: k)
    default: return nil
    }
  }
}

extension RetrievalMeasure: Codable, CodingKeyRepresentable {
  private struct Key: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  public var codingKey: any CodingKey { Key(stringValue: name) }

  public init?<T: CodingKey>(codingKey: T) { self.init(name: codingKey.stringValue) }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let name = try container.decode(String.self)
    guard let measure = RetrievalMeasure(name: name) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "there is no measure '\(name)'")
    }
    self = measure
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(name)
  }
}
