public import ImageSimilarityCore
public import ImageSimilaritySearch

/// A label and metadata for a picture of a model, which is named by its id or by its path.
public struct ImageAnnotation: Sendable, Hashable, Codable {
  /// The picture's id; where nil, ``path`` names it.
  public var id: String?
  public var path: String?
  /// Replaces the label; nil leaves it.
  public var label: String?
  /// Replaces the entries that it names; null removes one, and nil leaves all.
  public var metadata: [String: JSONValue]?

  public init(id: String? = nil, path: String? = nil, label: String? = nil, metadata: [String: JSONValue]? = nil) {
    self.id = id
    self.path = path
    self.label = label
    self.metadata = metadata
  }
}

/// What ``SimilarityModel/annotate(_:)`` did.
public struct AnnotationReport: Sendable, Hashable {
  /// Pictures whose records are now as the annotations say.
  public var annotated: Int
  /// The ids, or else paths, of annotations whose pictures the model does not hold.
  public var unknown: [String]
}

extension SimilarityModel {
  /// The ids of the pictures whose records match, in ascending order.
  ///
  /// - Complexity: O(images * log(images))
  public func ids(where predicate: RecordPredicate) throws -> [String] {
    try ids.filter { try record($0).map(predicate.matches) ?? false }
  }

  /// Sets labels and metadata, in one commit; embeddings stay as they are.
  ///
  /// - Complexity: O(annotations * log(images)), and the records of the segments that change are written anew.
  @discardableResult
  public func annotate(_ annotations: [ImageAnnotation]) async throws -> AnnotationReport {
    try await writing.take { [self] in
      var changed: [String: ImageRecord] = [:]
      var unknown: [String] = []
      for annotation in annotations {
        let id = try annotation.id ?? annotation.path.flatMap { try store.record(ofPath: $0)?.id }
        guard let id, var record = try changed[id] ?? record(id)
        else {
          unknown.append(annotation.id ?? annotation.path ?? "")
          continue
        }
        record.annotate(annotation)
        changed[id] = record
      }
      let updates = try changed.values.filter { try $0 != record($0.id) }.sorted { $0.id < $1.id }
      if !updates.isEmpty {
        try store.beginWriting()
        defer { store.close() }
        try store.updateRecords(updates)
      }
      return AnnotationReport(annotated: changed.count, unknown: unknown)
    }
  }
}

extension ImageRecord {
  fileprivate mutating func annotate(_ annotation: ImageAnnotation) {
    label = annotation.label ?? label
    guard let additions = annotation.metadata else { return }
    var merged = metadata ?? [:]
    for (key, value) in additions { merged[key] = value == .null ? nil : value }
    metadata = merged.isEmpty ? nil : merged
  }
}
