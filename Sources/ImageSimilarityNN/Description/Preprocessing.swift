/// What a network's weights expect of pixels from 0 to 255.
public enum Preprocessing: String, Sendable, Hashable, Codable, CaseIterable {
  /// RGB, `(x / 255 - mean) / std`, mean `(.485, .456, .406)`, std `(.229, .224, .225)`: torchvision's ImageNet weights.
  case imagenet
  /// BGR, `x - (104, 117, 123)`: Caffe's ImageNet weights.
  case caffe
  /// RGB, `(x - 127) / 128`: the EfficientNet-Lite weights.
  case tfLite = "tf-lite"
  /// RGB, `x / 127.5 - 1`: Inception's, and of many networks from TensorFlow and timm (mean and std .5).
  case inception
  /// RGB, `(x / 255 - mean) / std`, mean `(.4815, .4578, .4082)`, std `(.2686, .2613, .2758)`: OpenAI's CLIP.
  case clip
  /// RGB, `x / 255`: networks that do the rest themselves.
  case unit
  /// RGB, as the bytes are.
  case raw

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
    case .inception:
      return affine(mean: [127.5, 127.5, 127.5], divisor: [127.5, 127.5, 127.5])
    case .clip:
      return affine(
        mean: [0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255],
        divisor: [0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255])
    case .unit:
      return affine(mean: [0, 0, 0], divisor: [255, 255, 255])
    case .raw:
      return affine(mean: [0, 0, 0], divisor: [1, 1, 1])
    }
  }
}
