public import ImageSimilarityCore
internal import ImageSimilarityFiles

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// The ranges of a network's activations on typical pictures: what ``Precision/int8`` scales them by.
///
/// ```swift
/// let exact = try NetworkExtractor(backbone, weights: weights)
/// let calibration = try exact.calibration(on: pictures)
/// let fast = try NetworkExtractor(backbone, weights: weights, precision: .int8, calibration: calibration)
/// ```
///
/// It belongs to one network with one weights file. Embeddings of different calibrations are not compared with each other:
/// the fingerprint has the ``digest``.
public struct Calibration: Sendable, Hashable {
  /// The backbone's name.
  public let architecture: String
  /// SHA-256 of the weights file in lower-case hexadecimal digits.
  public let weights: String
  /// How many pictures the ranges come from.
  public let pictures: Int
  /// The range of each activation tensor, by the name of the layer that gives it.
  public let ranges: [String: ActivationRange]

  /// - Precondition: `pictures` is at least 1, and there is a range.
  public init(architecture: String, weights: String, pictures: Int, ranges: [String: ActivationRange]) {
    precondition(pictures >= 1 && !ranges.isEmpty, "a calibration has pictures and ranges")
    self.architecture = architecture
    self.weights = weights
    self.pictures = pictures
    self.ranges = ranges
  }

  /// 16 hexadecimal digits of a SHA-256 over all that decides an embedding: the network and the ranges.
  ///
  /// - Complexity: O(ranges)
  public var digest: String {
    // The length before each name makes the text unambiguous; bit patterns have no rounding.
    var text = "\(architecture)\n\(weights)\n"
    for (name, range) in ranges.sorted(by: { $0.key < $1.key }) {
      text += "\(name.utf8.count) \(name) \(range.low.bitPattern) \(range.high.bitPattern)\n"
    }
    return String(SHA256.hexDigest(of: Data(text.utf8)).prefix(16))
  }

  /// Throws ``SimilarityError/Code/invalidArgument`` unless the calibration belongs to the network.
  func requireNetwork(architecture: String, weights: String) throws(SimilarityError) {
    guard self.architecture == architecture, self.weights == weights else {
      throw SimilarityError(
        .invalidArgument,
        "the calibration belongs to \(self.architecture) with the weights \(self.weights.prefix(12)), and the network is "
          + "\(architecture) with the weights \(weights.prefix(12)); calibrate it anew")
    }
  }
}

// MARK: - Files

extension Calibration: Codable {
  private enum CodingKeys: CodingKey {
    case format, version, architecture, weights, pictures, ranges
  }

  private static let format = "imsim-calibration"
  private static let version = 1
  /// A range takes some 60 bytes, and networks have hundreds of layers.
  private static let maximumBytes = 4 << 20

  public init(from decoder: any Decoder) throws {
    func fail(_ reason: String) -> DecodingError {
      .dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: reason))
    }
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let format = try container.decode(String.self, forKey: .format)
    guard format == Self.format else { throw fail("expected the format \(Self.format), found \(format)") }
    let version = try container.decode(Int.self, forKey: .version)
    guard version == Self.version else { throw fail("expected version \(Self.version), found \(version)") }
    let pictures = try container.decode(Int.self, forKey: .pictures)
    let ranges = try container.decode([String: ActivationRange].self, forKey: .ranges)
    guard pictures >= 1, !ranges.isEmpty else {
      throw fail("expected pictures and ranges, found \(pictures) and \(ranges.count)")
    }
    self.init(
      architecture: try container.decode(String.self, forKey: .architecture),
      weights: try container.decode(String.self, forKey: .weights), pictures: pictures, ranges: ranges)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(Self.format, forKey: .format)
    try container.encode(Self.version, forKey: .version)
    try container.encode(architecture, forKey: .architecture)
    try container.encode(weights, forKey: .weights)
    try container.encode(pictures, forKey: .pictures)
    try container.encode(ranges, forKey: .ranges)
  }

  /// Reads a file that ``write(to:)`` wrote.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput`` where it cannot be read, ``SimilarityError/Code/invalidArgument`` where it
  ///   is no calibration.
  public init(contentsOf url: URL) throws(SimilarityError) {
    try self.init(MappedFile(contentsOf: url))
  }

  init(_ file: MappedFile) throws(SimilarityError) {
    guard file.count <= Self.maximumBytes else {
      throw SimilarityError(
        .invalidArgument,
        "\(file.name) is no calibration: it has \(file.count) bytes; expected at most \(Self.maximumBytes)"
      )
    }
    let data = file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    do {
      self = try JSONDecoder().decode(Calibration.self, from: data)
    } catch {
      throw SimilarityError(.invalidArgument, "\(file.name) is no calibration: \(Self.reason(error))")
    }
  }

  /// Writes a JSON file: format, version, architecture, weights, pictures, and the ranges by layer.
  ///
  /// - Throws: ``SimilarityError/Code/inputOutput``; the file that was there is then as it was.
  public func write(to url: URL) throws(SimilarityError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let data: Data
    do {
      data = try encoder.encode(self) + [UInt8(ascii: "\n")]
    } catch {
      preconditionFailure("finite numbers and text can be written as JSON: \(error)")
    }
    try writeAtomically(data, to: url)
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case DecodingError.dataCorrupted(let context): context.debugDescription
    case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
    case DecodingError.typeMismatch(let type, let context): "expected \(type) at \(place(context.codingPath))"
    default: "\(error)"
    }
  }

  private static func place(_ path: [any CodingKey]) -> String {
    path.isEmpty ? "the top" : path.map(\.stringValue).joined(separator: ".")
  }
}

// MARK: - In a model

extension Calibration {
  /// As an extractor's specification carries it.
  var json: JSONValue {
    .object([
      "format": .string(Self.format), "version": .number(Double(Self.version)), "architecture": .string(architecture),
      "weights": .string(weights), "pictures": .number(Double(pictures)),
      "ranges": .object(
        ranges.mapValues { .object(["low": .number(Double($0.low)), "high": .number(Double($0.high))]) }),
    ])
  }

  /// The calibration that an extractor's specification carries, if any.
  ///
  /// - Throws: ``SimilarityError/Code/modelCorrupt`` where it carries something else.
  public init?(storedIn specification: ExtractorSpecification) throws(SimilarityError) {
    guard let json = specification.calibration else { return nil }
    do {
      self = try JSONDecoder().decode(Calibration.self, from: JSONEncoder().encode(json))
    } catch {
      throw SimilarityError(.modelCorrupt, "the model's calibration is damaged: \(Self.reason(error))")
    }
  }
}
