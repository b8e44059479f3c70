/// Where the authors of a network publish its weights. Nothing is downloaded from here by itself.
public struct OfficialWeights: Sendable, Hashable {
  /// The publisher's address of the file.
  public let url: String
  /// The file's name; torchvision's carry the first 8 digits of the file's SHA-256.
  public var fileName: String { String(url.split(separator: "/").last ?? "") }

  /// The weights that torchvision uses for a backbone of this package, trained on ImageNet.
  public static func of(_ backbone: String) -> OfficialWeights? {
    let files = [
      "resnet-50": "resnet50-0676ba61.pth",
      "squeezenet-1.0": "squeezenet1_0-b66bff10.pth",
      "squeezenet-1.1": "squeezenet1_1-b8a52dc0.pth",
    ]
    return files[backbone].map { OfficialWeights(url: "https://download.pytorch.org/models/\($0)") }
  }
}
