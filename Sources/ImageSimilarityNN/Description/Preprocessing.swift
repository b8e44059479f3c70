/// What a network's weights expect of pixels from 0 to 255.
public enum Preprocessing: String, Sendable, Hashable, Codable, CaseIterable {
  /// RGB, `(x / 255 - mean) / std`, mean `(.485, .456, .406)`, std `(.229, .224, .225)`: torchvision's ImageNet weights.
  case imagenet
  /// BGR, `x - (104, 117, 123)`: Caffe's ImageNet weights.
  case caffe
  /// RGB, `(x - 127) / 128`: the EfficientNet-Lite weights.
  case tfLite = "tf-lite"

  /// Whether the network's first channel is blue.
  package var isBGR: Bool { self == .caffe }

  /// In the network's channel order: `y = x * scale + shift`.
  package var scaleAndShift: (scale: [Float], shift: [Float]) {
    func affine(mean: [Double], divisor: [Double]) -> ([Float], [Float]) {
      (divisor.map { Float(1 / $0) }, zip(mean, divisor).map { Float(-$0 / $1) })
    }
    switch self {
    case .imagenet:
      return affine(
        mean: [0.485 * 255, 0.456 * 255, 0.406 * 255], divisor: [0.229 * 255, 0.224 * 255, 0.225 * 255])
    case .caffe:
      return affine(mean: [104, 117, 123], divisor: [1, 1, 1])
    case .tfLite:
      return affine(mean: [127, 127, 127], divisor: [128, 128, 128])
    }
  }
}
