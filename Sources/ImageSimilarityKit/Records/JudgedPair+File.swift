internal import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

extension JudgedPair {
  /// Reads pairs from JSON Lines or, where the name ends in `.csv`, from comma-separated values.
  ///
  /// - JSON Lines: an object a line, with the ids `a` and `b`, and the truth value `same`.
  /// - CSV (RFC 4180): two ids and a verdict: `1`, `true`, `yes` or `same`, or `0`, `false`, `no` or `different`, in any case. A
  ///   first line `id,id,same` is a header.
  ///
  /// - Throws: ``ImageSimilarityCore/SimilarityError/Code/invalidArgument``, which names the line that is wrong.
  /// - Complexity: O(size of the file)
  public static func read(contentsOf url: URL) throws -> [JudgedPair] {
    let file = try MappedFile(contentsOf: url)
    let data = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    guard let text = String(validating: data, as: UTF8.self) else {
      throw SimilarityError(.invalidArgument, "\(url.path) is not UTF-8")
    }
    return url.pathExtension.lowercased() == "csv" ? try fromCSV(text, url.path) : try fromJSONLines(text, url.path)
  }

  private static func fromJSONLines(_ text: String, _ name: String) throws(SimilarityError) -> [JudgedPair] {
    var pairs: [JudgedPair] = []
    let decoder = JSONDecoder()
    for (index, line) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
      if line.allSatisfy({ " \t\r".utf8.contains($0) }) { continue }
      guard let pair = try? decoder.decode(JudgedPair.self, from: Data(line)) else {
        throw SimilarityError(
          .invalidArgument,
          "\(name), line \(index + 1): expected an object with the ids \"a\" and \"b\", and \"same\", true or false")
      }
      pairs.append(pair)
    }
    return pairs
  }

  private static func fromCSV(_ text: String, _ name: String) throws(SimilarityError) -> [JudgedPair] {
    var reader = CSVReader(text, name: name)
    var pairs: [JudgedPair] = []
    while let fields = try reader.next() {
      guard fields.count == 3 else {
        throw SimilarityError(
          .invalidArgument, "\(name), line \(reader.line): expected two ids and a verdict, found \(fields.count) fields"
        )
      }
      if pairs.isEmpty, fields == ["id", "id", "same"] { continue }
      guard let isSame = verdicts[fields[2].lowercased()] else {
        throw SimilarityError(
          .invalidArgument,
          "\(name), line \(reader.line): expected same or different (or 1, 0, true, false, yes, no), found '\(fields[2])'"
        )
      }
      pairs.append(JudgedPair(fields[0], fields[1], isSame: isSame))
    }
    return pairs
  }

  private static let verdicts = [
    "1": true, "true": true, "yes": true, "same": true,
    "0": false, "false": false, "no": false, "different": false,
  ]
}
