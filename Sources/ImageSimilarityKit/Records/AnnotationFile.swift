public import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension ImageAnnotation {
  /// Reads annotations from JSON Lines or, where the name ends in `.csv`, from comma-separated values.
  ///
  /// - JSON Lines: an object a line, with `id` or `path`, and `label` and `metadata` as wanted.
  /// - CSV (RFC 4180): a header with `id` or `path`, and `label` as wanted; other columns are metadata. A value that is a JSON
  ///   number becomes a number, an empty one says nothing, and any other is a text.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument``, which names the line that is wrong.
  /// - Complexity: O(size of the file)
  public static func read(contentsOf url: URL) throws(SimilarityError) -> [ImageAnnotation] {
    let file = try MappedFile(contentsOf: url)
    let data = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw SimilarityError(.invalidArgument, "\(url.path) is not UTF-8")
    }
    return url.pathExtension.lowercased() == "csv" ? try fromCSV(text, url.path) : try fromJSONLines(text, url.path)
  }

  private static func fromJSONLines(_ text: String, _ name: String) throws(SimilarityError) -> [ImageAnnotation] {
    var annotations: [ImageAnnotation] = []
    let decoder = JSONDecoder()
    for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ " \t\r".utf8.contains($0) }) { continue }
      guard let annotation = try? decoder.decode(ImageAnnotation.self, from: Data(line)),
        annotation.id != nil || annotation.path != nil
      else {
        throw SimilarityError(
          .invalidArgument,
          "\(name), line \(index + 1): expected an object with texts \"id\" or \"path\" and, as wanted, \"label\", and an "
            + "object \"metadata\"")
      }
      annotations.append(annotation)
    }
    return annotations
  }

  private static func fromCSV(_ text: String, _ name: String) throws(SimilarityError) -> [ImageAnnotation] {
    var reader = CSVReader(text, name: name)
    guard let header = try reader.next() else {
      throw SimilarityError(.invalidArgument, "\(name) is empty; expected a header with \"id\" or \"path\"")
    }
    guard header.contains("id") || header.contains("path"), Set(header).count == header.count else {
      throw SimilarityError(
        .invalidArgument, "\(name), line 1: expected a header with \"id\" or \"path\" and no name twice")
    }
    var annotations: [ImageAnnotation] = []
    while let fields = try reader.next() {
      guard fields.count == header.count else {
        throw SimilarityError(
          .invalidArgument, "\(name), line \(reader.line): expected \(header.count) fields, found \(fields.count)")
      }
      var annotation = ImageAnnotation()
      var metadata: [String: JSONValue] = [:]
      for (column, field) in zip(header, fields) where !field.isEmpty {
        switch column {
        case "id": annotation.id = field
        case "path": annotation.path = field
        case "label": annotation.label = field
        default: metadata[column] = jsonNumber(field).map { .number($0) } ?? .string(field)
        }
      }
      guard annotation.id != nil || annotation.path != nil else {
        throw SimilarityError(.invalidArgument, "\(name), line \(reader.line): expected an id or a path")
      }
      if !metadata.isEmpty { annotation.metadata = metadata }
      annotations.append(annotation)
    }
    return annotations
  }

  /// `007`, `+1` and `.5` are no JSON numbers: they stay as they are written.
  private static func jsonNumber(_ text: String) -> Double? {
    guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
      let value = try? JSONDecoder().decode(Double.self, from: Data(text.utf8)), value.isFinite
    else { return nil }
    return value
  }
}
