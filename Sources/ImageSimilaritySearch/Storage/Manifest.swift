import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `manifest.json`: everything that belongs to a model. Replacing it is the commit of a change.
struct Manifest: Codable, Hashable {
  static let fileName = "manifest.json"
  private static let format = "imsim-model"
  static let version = 1
  /// Room for the names of some 25 million removed rows.
  private static let maximumBytes = 256 << 20

  private(set) var format = Self.format
  private(set) var version = Self.version
  var metric: Metric
  var extractor: ExtractorSpecification
  var segments: [Segment] = []
  /// The number in the name of the next new file.
  var nextFile = 1

  struct Segment: Codable, Hashable {
    var rows: Int
    /// A safetensors file with the tensor ``tensorName``, F32 `[rows, dimension]`.
    var embeddings: File
    /// JSON Lines: an ``ImageRecord`` a row.
    var records: File
    /// Rows that are no longer in the model, ascending.
    var removed: [Int]

    static let tensorName = "embeddings"
    static let embeddingsSuffix = ".safetensors"
    static let recordsSuffix = ".jsonl"
  }

  /// A file in the folder ``folderName``.
  struct File: Codable, Hashable {
    var file: String
    var bytes: Int
    var sha256: String

    static let folderName = "segments"
  }

  init(metric: Metric, extractor: ExtractorSpecification) {
    self.metric = metric
    self.extractor = extractor
  }

  /// Reads a manifest and checks all that can be checked without opening other files.
  init(_ file: MappedFile) throws(SimilarityError) {
    struct Header: Decodable {
      var format: String
      var version: Int
    }
    guard file.count <= Self.maximumBytes else {
      throw SimilarityError(
        .modelCorrupt, "\(file.name) is damaged: it has \(file.count) bytes; expected at most \(Self.maximumBytes)")
    }
    let data = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    do {
      let header = try JSONDecoder().decode(Header.self, from: data)
      guard header.format == Self.format else {
        throw SimilarityError(
          .modelCorrupt, "\(file.name) is no model's: expected the format \(Self.format), found \"\(header.format)\"")
      }
      guard header.version <= Self.version else {
        throw SimilarityError(
          .modelVersion,
          "\(file.name) has version \(header.version) of the format, and this program reads versions up to "
            + "\(Self.version): update the program, or index the images again")
      }
      self = try JSONDecoder().decode(Manifest.self, from: data)
    } catch let error as SimilarityError {
      throw error
    } catch {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(explain(error))")
    }
    if let problem = firstProblem() { throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(problem)") }
  }

  func encoded() throws(SimilarityError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return try encoder.encode(self) + [UInt8(ascii: "\n")]
    } catch {
      throw SimilarityError(.invalidArgument, "the model's description cannot be written as JSON: \(error)")
    }
  }

  /// The names of all files that belong to the model, in the folder ``File/folderName``.
  var fileNames: Set<String> { Set(segments.flatMap { [$0.embeddings.file, $0.records.file] }) }

  /// Whether a name in the folder ``File/folderName`` is one of those that a model gives; such names lead nowhere else.
  static func isFileName(_ name: String, suffix: String) -> Bool {
    let digits = name.utf8.dropLast(suffix.utf8.count)
    return name.hasSuffix(suffix) && (6...18).contains(digits.count)
      && digits.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
  }

  mutating func takeFileNumber() -> String {
    let digits = String(nextFile)
    nextFile += 1
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private func firstProblem() -> String? {
    if version < 1 { return "the version is \(version); expected at least 1" }
    if !(1...(1 << 24)).contains(extractor.fingerprint.dimension) {
      return "the dimension is \(extractor.fingerprint.dimension); expected 1 to \(1 << 24)"
    }
    let size = extractor.input.size
    if !(1...(1 << 16)).contains(size.width) || !(1...(1 << 16)).contains(size.height) {
      return "the extractor's images are \(size) pixels; expected sides of 1 to \(1 << 16)"
    }
    if !(1...Int(Int32.max)).contains(nextFile) {
      return "nextFile is \(nextFile); expected 1 to \(Int32.max)"
    }
    var names: Set<String> = []
    for segment in segments {
      for (file, suffix) in [
        (segment.embeddings, Segment.embeddingsSuffix), (segment.records, Segment.recordsSuffix),
      ] {
        guard Self.isFileName(file.file, suffix: suffix) else {
          return "a segment's file is called \(file.file.debugDescription); expected six or more digits and \(suffix)"
        }
        if !names.insert(file.file).inserted { return "the file \(file.file) belongs to two segments" }
        if file.bytes < 0 { return "the file \(file.file) has \(file.bytes) bytes" }
      }
      let name = segment.embeddings.file
      // Each row has a line of its own.
      guard segment.rows >= 1, segment.rows <= segment.records.bytes else {
        return "the segment of \(name) has \(segment.rows) rows and \(segment.records.bytes) bytes of records"
      }
      if let row = segment.removed.first(where: { !(0..<segment.rows).contains($0) }) {
        return "row \(row) is removed from the segment of \(name), which has \(segment.rows) rows"
      }
      if !zip(segment.removed, segment.removed.dropFirst()).allSatisfy({ $0 < $1 }) {
        return "the removed rows of the segment of \(name) are not in ascending order"
      }
    }
    return nil
  }
}
