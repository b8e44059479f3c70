// swift-tools-version: 6.2
import PackageDescription

let examples = ["QuickStart", "OwnBackbone", "OwnExtractor", "OwnDecoder", "NeighborGraph"]

let package = Package(
  name: "Examples",
  platforms: [.macOS("26.0")],
  dependencies: [
    .package(name: "ImageSimilarityKit", path: "..")
  ],
  targets: examples.map { name in
    .executableTarget(
      name: name, dependencies: [.product(name: "ImageSimilarityKit", package: "ImageSimilarityKit")])
  } + [
    .executableTarget(
      name: "NetworkFiles",
      dependencies: ["ImageSimilarityKit", "ImageSimilarityONNX", "ImageSimilarityCoreML"].map {
        .product(name: $0, package: "ImageSimilarityKit")
      })
  ],
  swiftLanguageModes: [.v6]
)
