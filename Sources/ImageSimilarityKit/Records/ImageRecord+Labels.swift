internal import ImageSimilarityCore
package import ImageSimilaritySearch

extension ImageRecord {
  /// What the picture shows: the texts (and numbers) of the array `labels` in its metadata, or else its label; nil where it has
  /// neither.
  package var givenLabels: [String]? {
    if case .array(let values)? = metadata?["labels"] { return values.compactMap(\.label) }
    return label.map { [$0] }
  }

  /// ``givenLabels``, or else the name of the folder that holds the picture; none where there is no folder either.
  package var labels: [String] { givenLabels ?? [folderName].filter { !$0.isEmpty } }

  /// The name of the folder that holds the picture, `""` where there is none.
  package var folderName: String {
    let components = (path ?? id).split(separator: "/")
    return components.count > 1 ? String(components[components.count - 2]) : ""
  }
}

extension JSONValue {
  fileprivate var label: String? {
    switch self {
    case .string(let text): text
    case .number(let number): Int64(exactly: number).map { "\($0)" } ?? "\(number)"
    case .null, .bool, .array, .object: nil
    }
  }
}
