public import ArgumentParser
public import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

extension ResizeMode: ExpressibleByArgument {}
extension Preprocessing: ExpressibleByArgument {}
extension EmbeddingLayer: ExpressibleByArgument {}

/// The options that choose an extractor.
struct ExtractorOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The network; see 'imsim backbones'. Default: \(NetworkExtractor.bundledBackbone).", valueName: "name"))
  var backbone: String?

  @Option(
    help: ArgumentHelp(
      "The network's weights: a safetensors file or a PyTorch state dictionary (.pth, .pt). The default backbone comes with "
        + "its own.", valueName: "file"))
  var weights: String?

  @Option(help: "What the weights expect of pixels. Default: the backbone's usual one.")
  var preprocessing: Preprocessing?

  @Option(help: "How pictures get to the network's input size. Default: \(NetworkExtractor.defaultResize.rawValue).")
  var resize: ResizeMode?

  var isEmpty: Bool { backbone == nil && weights == nil && preprocessing == nil && resize == nil }

  func makeExtractor(layer: EmbeddingLayer = .pooled) throws -> NetworkExtractor {
    try NetworkExtractor(
      named: backbone ?? NetworkExtractor.bundledBackbone, weights: weights.map { URL(fileURLWithPath: $0) },
      layer: layer,
      preprocessing: preprocessing, resize: resize ?? NetworkExtractor.defaultResize)
  }

  /// The extractor of a model that exists, with what the options say changed.
  func makeExtractor(reopening model: URL) throws -> NetworkExtractor {
    let specification = try SimilarityModel.specification(ofModelAt: model)
    let isSameBackbone = backbone == nil || backbone == specification.fingerprint.architecture
    return try NetworkExtractor(
      named: backbone ?? specification.fingerprint.architecture,
      weights: (weights ?? (isSameBackbone ? specification.weightsPath : nil)).map { URL(fileURLWithPath: $0) },
      layer: EmbeddingLayer(rawValue: specification.fingerprint.layer) ?? .pooled,
      preprocessing: preprocessing
        ?? (isSameBackbone ? Preprocessing(rawValue: specification.fingerprint.preprocessing) : nil),
      resize: resize ?? specification.input.resize)
  }
}

/// How many neighbours are wanted.
struct NeighborOptions: ParsableArguments {
  @Option(
    name: .short,
    help: ArgumentHelp("At most so many. Default: 5; with --radius, all within it.", valueName: "k"))
  var k: Int?

  @Option(help: "Only those at this distance or nearer.")
  var radius: Float?

  func validate() throws {
    if let k, k < 1 { throw ValidationError("-k is the number of hits wanted, at least 1; found \(k)") }
    if let radius, !(radius >= 0) { throw ValidationError("--radius is a distance, at least 0; found \(radius)") }
  }
}

/// How many pictures are worked on at the same time.
struct ThreadOptions: ParsableArguments {
  @Option(help: "Pictures worked on at the same time. Default: one a processor.")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads is a number from 1 to 1024; found \(threads)")
    }
  }
}

extension URL {
  /// A file or folder as the command line names it.
  init(argument: String) { self.init(fileURLWithPath: argument) }
}

extension ImageCollection {
  /// The folders and files that the command line names, in its order.
  static func arguments(_ paths: [String]) throws -> ImageCollection {
    .joined(
      try paths.map { path in
        var isFolder = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
          throw SimilarityError(.inputOutput, "there is no file or folder \(path)")
        }
        return isFolder ? .folder(URL(argument: path)) : .files([URL(argument: path)])
      })
  }
}
