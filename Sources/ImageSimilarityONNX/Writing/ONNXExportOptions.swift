/// How ``NetworkExtractor/writeONNX(to:options:)`` writes a network.
public struct ONNXExportOptions: Sendable {
  /// How the weights of convolutions and linear layers are stored. The arithmetic is single precision either way.
  public enum WeightType: String, Sendable, Hashable, CaseIterable {
    /// The numbers that the extractor computes with.
    case float32
    /// Half the size: each weight is rounded to 11 significant bits.
    case float16
  }

  public var weightType: WeightType
  /// What becomes of the network's embedding, one after the other.
  public var transforms: [EmbeddingTransform]

  public init(weightType: WeightType = .float32, transforms: [EmbeddingTransform] = []) {
    self.weightType = weightType
    self.transforms = transforms
  }
}
