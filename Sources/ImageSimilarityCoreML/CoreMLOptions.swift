#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// How the weights of a Core ML file are stored, the network's and the index's.
public enum CoreMLWeights: String, Sendable, Hashable, Codable, CaseIterable {
  /// Single precision: distances are those of the model.
  case fp32
  /// Half precision: half the size.
  case fp16
  /// A quarter of the size: 8 bits each, with a scale and an offset for each filter and each reference. Core ML makes numbers
  /// of them again before it computes. The convolution that reads the picture, and depthwise ones, stay in single precision:
  /// they are small, and matter most.
  case int8

  /// The version of Core ML's specification that has these weights, which is the file's: all layers are of version 1.
  public var specificationVersion: Int {
    switch self {
    case .fp32: 1
    case .fp16: 2
    case .int8: 3
    }
  }

  /// The first version of iOS that reads the file.
  public var minimumIOS: String {
    switch self {
    case .fp32: "11"
    case .fp16: "11.2"
    case .int8: "12"
    }
  }
}

/// What a Core ML file holds.
public struct CoreMLOptions: Sendable, Hashable {
  public var weights = CoreMLWeights.fp32
  /// Whether the file is the network alone, which gives embeddings. The pictures' embeddings and records then go beside it.
  public var featuresOnly = false
  /// As Xcode shows them.
  public var author = ""
  public var license = ""

  public init() {}
}

/// A Core ML file that has been written.
public struct CoreMLSummary: Sendable, Hashable, Codable {
  /// Pictures that it gives distances to, or whose embeddings are beside it.
  public var images: Int
  /// Length of the embedding.
  public var dimension: Int
  /// Size of the file.
  public var bytes: Int
  /// The file with the embeddings, where the Core ML file has none.
  public var index: URL?
}
