/// Where the authors of a network publish its weights. Nothing is downloaded from here by itself.
public struct OfficialWeights: Sendable, Hashable {
  /// The network that they are for.
  public let backbone: String
  /// The publisher's address of the file.
  public let url: String
  /// The file's SHA-256, lower-case hexadecimal; where it is not known in full, its first 8 digits, which torchvision puts
  /// into the names of its files.
  public let sha256: String
  /// The file's size, where it is known.
  public let byteCount: Int?

  /// The file's name, as its publisher gave it.
  public var fileName: String { String(url.split(separator: "/").last ?? "") }

  package init(backbone: String, url: String, sha256: String, byteCount: Int? = nil) {
    self.backbone = backbone
    self.url = url
    self.sha256 = sha256
    self.byteCount = byteCount
  }

  /// The weights that torchvision uses for backbones of this package, trained on ImageNet.
  public static let all: [OfficialWeights] = [
    torchvision(
      "resnet-50", "resnet50-0676ba61.pth",
      sha256: "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", byteCount: 102_530_333),
    torchvision(
      "squeezenet-1.1", "squeezenet1_1-b8a52dc0.pth",
      sha256: "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b", byteCount: 4_958_839),
    torchvision("squeezenet-1.0", "squeezenet1_0-b66bff10.pth", sha256: "b66bff10"),
  ]

  /// The weights of a backbone, by its name.
  public static func of(_ backbone: String) -> OfficialWeights? { all.first { $0.backbone == backbone } }

  /// Whether a file with this SHA-256 (64 lower-case digits) is the publisher's.
  package func isDigest(_ digest: String) -> Bool { digest.hasPrefix(sha256) }

  private static func torchvision(
    _ backbone: String, _ file: String, sha256: String, byteCount: Int? = nil
  ) -> OfficialWeights {
    OfficialWeights(
      backbone: backbone, url: "https://download.pytorch.org/models/\(file)", sha256: sha256, byteCount: byteCount)
  }
}
