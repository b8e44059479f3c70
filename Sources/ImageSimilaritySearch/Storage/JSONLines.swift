import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// JSON Lines: one JSON value a line, each line ended by a line feed.
enum JSONLines {
  static func encode(_ values: [some Encodable]) throws(SimilarityError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var data = Data()
    for (index, value) in values.enumerated() {
      do {
        data.append(try encoder.encode(value))
      } catch {
        throw SimilarityError(.invalidArgument, "element \(index) cannot be written as JSON: \(error)")
      }
      data.append(UInt8(ascii: "\n"))
    }
    return data
  }

  static func decode<Value: Decodable>(_ file: MappedFile, as type: Value.Type) throws(SimilarityError) -> [Value] {
    try decode(file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }, name: file.name, as: type)
  }

  static func decode<Value: Decodable>(
    _ bytes: Data, name: String, as type: Value.Type
  ) throws(SimilarityError) -> [Value] {
    guard let last = bytes.last else { return [] }
    guard last == UInt8(ascii: "\n") else {
      throw SimilarityError(.modelCorrupt, "\(name) is damaged: expected a line feed at its end")
    }
    var values: [Value] = []
    let decoder = JSONDecoder()
    for line in bytes.dropLast().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      do {
        values.append(try decoder.decode(type, from: line))
      } catch {
        throw SimilarityError(
          .modelCorrupt, "\(name) is damaged: line \(values.count + 1) is not the JSON expected: \(explain(error))"
        )
      }
    }
    return values
  }
}

/// A decoding error in a few words.
func explain(_ error: any Error) -> String {
  func place(_ path: [any CodingKey]) -> String {
    path.isEmpty ? "" : " at " + path.map(\.stringValue).joined(separator: ".")
  }
  switch error {
  case DecodingError.keyNotFound(let key, let context):
    return "\(key.stringValue) is missing\(place(context.codingPath))"
  case DecodingError.typeMismatch(let type, let context), DecodingError.valueNotFound(let type, let context):
    return "expected \(type)\(place(context.codingPath))"
  case DecodingError.dataCorrupted(let context):
    return "\(context.debugDescription)\(place(context.codingPath))"
  default:
    return "\(error)"
  }
}
