internal import ImageSimilaritySearch

/// The labels of a model's pictures by id, from where they are known.
public struct PictureLabels: Sendable, Hashable {
  /// The labels of each picture that has some.
  public private(set) var byID: [String: [String]] = [:]
  /// The ids, or else paths, of annotations whose pictures the model does not hold.
  public private(set) var unknown: [String] = []

  public init(_ byID: [String: [String]] = [:]) { self.byID = byID }

  mutating func add(_ labels: [String], to id: String) {
    for label in labels where !label.isEmpty && !(byID[id] ?? []).contains(label) {
      byID[id, default: []].append(label)
    }
  }

  mutating func addUnknown(_ picture: String) { unknown.append(picture) }
}

extension SimilarityModel {
  /// The labels that the model's records hold: the array `labels` in a picture's metadata, or else its label, or else the
  /// name of the folder that holds it.
  public func labels() throws -> PictureLabels {
    try labels(ofEach: \.labels)
  }

  /// The name of the folder that holds each picture.
  public func folderLabels() throws -> PictureLabels {
    try labels(ofEach: { [$0.folderName] })
  }

  private func labels(ofEach labels: (ImageRecord) -> [String]) throws -> PictureLabels {
    var found = PictureLabels()
    for record in try store.records { found.add(labels(record), to: record.id) }
    return found
  }

  /// The labels that annotations say; a picture of several annotations has the labels of all.
  public func labels(from annotations: [ImageAnnotation]) throws -> PictureLabels {
    var found = PictureLabels()
    for annotation in annotations {
      let record =
        try annotation.id.map { try store.record($0) } ?? annotation.path.map { try store.record(ofPath: $0) }
      guard case let record?? = record else {
        found.addUnknown(annotation.id ?? annotation.path ?? "")
        continue
      }
      found.add(
        ImageRecord(id: record.id, label: annotation.label, metadata: annotation.metadata).givenLabels ?? [],
        to: record.id)
    }
    return found
  }
}
