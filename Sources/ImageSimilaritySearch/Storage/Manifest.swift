import ImageSimilarityCore
import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `manifest.json`: everything that belongs to a model. Replacing it is the commit of a change.
///
/// The file is one JSON object, whose last member, `sha256`, is the digest of all bytes before it.
struct Manifest: Codable, Hashable {
  static let fileName = "manifest.json"
  private static let format = "imsim-model"
  static let version = 3
  /// Those that are read. In version 2 there are neither attachments nor projections.
  private static let readableVersions = 2...version
  private static let maximumBytes = 64 << 20

  private(set) var format = Self.format
  private(set) var version = Self.version
  var metric: Metric
  var precision: ElementPrecision
  var extractor: ExtractorSpecification
  var segments: [Segment] = []
  /// JSON Lines: a ``SkippedImage`` each.
  var skipped: CountedFile?
  /// Small JSON attachments of the application, by name.
  var attachments: [String: CountedFile]?
  /// What the searched vectors went through; nil where the embeddings are searched as they are.
  var projection: Projection?
  /// The number in the name of the next new file.
  var nextFile = 1

  struct Segment: Codable, Hashable {
    var rows: Int
    /// See ``StoredVectors``.
    var vectors: CheckedFile
    /// See ``StoredRecords``.
    var records: PlainFile
    var lookup: CheckedFile
    /// See ``RowBitmap``; nil as long as nothing was removed.
    var removed: CountedFile?
    /// Like ``vectors``, of the projected embeddings; nil exactly where the model has no projection.
    var projected: CheckedFile?

    var fileNames: [String] {
      [vectors.file, records.file, lookup.file] + [removed?.file, projected?.file].compactMap(\.self)
    }
    var byteCount: Int {
      vectors.bytes + records.bytes + lookup.bytes + (removed?.bytes ?? 0) + (projected?.bytes ?? 0)
    }
    var liveCount: Int { rows - (removed?.count ?? 0) }
  }

  /// A learnt projection, and those that it replaced; `count` of a file is the dimension that it projects to.
  struct Projection: Codable, Hashable {
    var file: CountedFile
    /// The oldest first; nil where there was none.
    var previous: [CountedFile?] = []

    /// How many are kept.
    static let previousLimit = 8
    var files: [CountedFile] { [file] + previous.compactMap(\.self) }
  }

  static let skippedSuffix = ".skipped.jsonl"
  static let attachmentSuffix = ".attachment.json"
  static let projectionSuffix = ".projection.safetensors"
  private static let attachmentLimit = 64

  init(metric: Metric, precision: ElementPrecision, extractor: ExtractorSpecification, nextFile: Int = 1) {
    self.metric = metric
    self.precision = precision
    self.extractor = extractor
    self.nextFile = nextFile
  }

  /// Reads a manifest and checks all that can be checked without opening other files.
  init(_ file: MappedFile) throws(SimilarityError) {
    let data = try Self.bytes(file)
    let body = Self.provenBody(data)
    let header = try Header(data, file)
    // What a later version guarantees is not known; an earlier one has no digest.
    if header.version > Self.version {
      throw SimilarityError(
        .modelVersion,
        "\(file.name) has version \(header.version) of the format, and this program reads up to version \(Self.version): update "
          + "the program, or index the images again")
    }
    if header.version == ManifestV1.version, header.sha256 == nil {
      throw SimilarityError(
        .modelVersion,
        "\(file.name) has version 1 of the format, and this program reads version \(Self.version): run 'imsim upgrade "
          + "\(file.url.deletingLastPathComponent().path)'")
    }
    guard let body else {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: its digest is not that of its contents")
    }
    self = try Self.decode(body, file)
    if let problem = firstProblem() { throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(problem)") }
    version = Self.version
  }

  /// What is needed to know how to read the rest.
  struct Header: Decodable {
    var format: String
    var version: Int
    var sha256: String?

    init(_ data: Data, _ file: MappedFile) throws(SimilarityError) {
      self = try Manifest.decode(data, file)
      guard format == Manifest.format else {
        throw SimilarityError(
          .modelCorrupt, "\(file.name) is no model's: expected the format \(Manifest.format), found \"\(format)\"")
      }
    }
  }

  static func bytes(_ file: MappedFile) throws(SimilarityError) -> Data {
    guard file.count <= maximumBytes else {
      throw SimilarityError(
        .modelCorrupt, "\(file.name) is damaged: it has \(file.count) bytes; expected at most \(maximumBytes)")
    }
    return file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
  }

  static func decode<Value: Decodable>(_ data: Data, _ file: MappedFile) throws(SimilarityError) -> Value {
    do {
      return try JSONDecoder().decode(Value.self, from: data)
    } catch {
      throw SimilarityError(.modelCorrupt, "\(file.name) is damaged: \(explain(error))")
    }
  }

  func encoded() throws(SimilarityError) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      let body = try encoder.encode(self).dropLast()
      return body + Self.ending(SHA256.hexDigest(of: body))
    } catch {
      throw SimilarityError(.invalidArgument, "the model's description cannot be written as JSON: \(error)")
    }
  }

  private static func ending(_ digest: String) -> Data { Data(",\"sha256\":\"\(digest)\"}\n".utf8) }

  /// The JSON object without its digest, where that is right.
  private static func provenBody(_ data: Data) -> Data? {
    let body = data.dropLast(ending("").count + 64)
    guard data.dropFirst(body.count) == ending(SHA256.hexDigest(of: body)) else { return nil }
    return body + [UInt8(ascii: "}")]
  }

  /// The names of all files that belong to the model, in the folder ``ModelFolder/segments``.
  var fileNames: Set<String> { Set(segments.flatMap(\.fileNames) + wholeFiles.map(\.file)) }

  /// The files that are read as a whole, but for those of segments.
  var wholeFiles: [CountedFile] {
    [skipped].compactMap(\.self) + (attachments.map { Array($0.values) } ?? []) + (projection?.files ?? [])
  }

  mutating func takeFileNumber() -> String {
    let digits = String(nextFile)
    nextFile += 1
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  private func firstProblem() -> String? {
    if !Self.readableVersions.contains(version) {
      return "the version is \(version); expected \(Self.readableVersions)"
    }
    if let problem = extractor.firstProblem { return problem }
    if !(1...Int(Int32.max)).contains(nextFile) { return "nextFile is \(nextFile); expected 1 to \(Int32.max)" }
    var names: Set<String> = []
    func problem(_ file: String, _ bytes: Int, _ suffix: String) -> String? {
      if !ModelFolder.isFileName(file, suffix: suffix) {
        return "a file is called \(file.debugDescription); expected six or more digits and \(suffix)"
      }
      if !names.insert(file).inserted { return "the file \(file) has two places" }
      return bytes < 0 ? "the file \(file) has \(bytes) bytes" : nil
    }
    for segment in segments {
      if let problem = problem(segment.vectors.file, segment.vectors.bytes, StoredVectors.suffix)
        ?? problem(segment.records.file, segment.records.bytes, StoredRecords.linesSuffix)
        ?? problem(segment.lookup.file, segment.lookup.bytes, StoredRecords.lookupSuffix)
        ?? segment.removed.flatMap({ problem($0.file, $0.bytes, RowBitmap.suffix) })
        ?? segment.projected.flatMap({ problem($0.file, $0.bytes, StoredVectors.projectedSuffix) })
      {
        return problem
      }
      let name = segment.vectors.file
      if (segment.projected == nil) != (projection == nil) {
        return
          "the segment of \(name) has \(segment.projected == nil ? "no " : "")projected vectors, and the model has "
          + (projection == nil ? "no projection" : "a projection")
      }
      // Each row has a line of its own.
      guard segment.rows >= 1, segment.rows <= segment.records.bytes else {
        return "the segment of \(name) has \(segment.rows) rows and \(segment.records.bytes) bytes of records"
      }
      if let removed = segment.removed, !(1...segment.rows).contains(removed.count) {
        return "\(removed.count) rows are removed from the segment of \(name), which has \(segment.rows)"
      }
    }
    if let skipped {
      if let problem = problem(skipped.file, skipped.bytes, Self.skippedSuffix) { return problem }
      if !(0...skipped.bytes).contains(skipped.count) { return "\(skipped.file) has \(skipped.count) lines" }
    }
    if attachments?.count ?? 0 > Self.attachmentLimit { return "it has more than \(Self.attachmentLimit) attachments" }
    for attachment in attachments.map({ Array($0.values) }) ?? [] {
      if let problem = problem(attachment.file, attachment.bytes, Self.attachmentSuffix) { return problem }
    }
    if let projection {
      if projection.previous.count > Projection.previousLimit {
        return "it has more than \(Projection.previousLimit) earlier projections"
      }
      for file in projection.files {
        if let problem = problem(file.file, file.bytes, Self.projectionSuffix) { return problem }
        if !(1...(1 << 24)).contains(file.count) { return "\(file.file) projects to \(file.count) dimensions" }
      }
    }
    return nil
  }
}

extension ExtractorSpecification {
  /// What makes the specification of a model unusable.
  var firstProblem: String? {
    if !(1...(1 << 24)).contains(fingerprint.dimension) {
      return "the dimension is \(fingerprint.dimension); expected 1 to \(1 << 24)"
    }
    let size = input.size
    if !(1...(1 << 16)).contains(size.width) || !(1...(1 << 16)).contains(size.height) {
      return "the extractor's images are \(size) pixels; expected sides of 1 to \(1 << 16)"
    }
    return nil
  }
}
