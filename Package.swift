// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "ImageSimilarityKit",
  platforms: [.macOS("26.0")],
  products: [
    .library(name: "ImageSimilarityKit", targets: ["ImageSimilarityKit"]),
    .library(name: "ImageSimilarityCore", targets: ["ImageSimilarityCore"]),
    .library(name: "ImageSimilarityTesting", targets: ["ImageSimilarityTesting"]),
    .executable(name: "imsim", targets: ["imsim"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0")
  ],
  targets: [
    // What a user imports.
    .target(name: "ImageSimilarityCore"),
    .target(name: "ImageSimilarityFiles", dependencies: ["ImageSimilarityCore", "CSimilarityKernels"]),
    .target(
      name: "ImageSimilarityVips",
      dependencies: ["ImageSimilarityCore", "CVipsShim"]),
    .target(
      name: "ImageSimilarityNN",
      dependencies: [
        "ImageSimilarityCore", "ImageSimilarityFiles", "CSimilarityKernels", "COpenBLAS", "CBundledWeights",
      ]),
    .target(
      name: "ImageSimilaritySearch",
      dependencies: ["ImageSimilarityCore", "ImageSimilarityFiles", "CSimilarityKernels", "COpenBLAS"]),
    .target(
      name: "ImageSimilarityKit",
      dependencies: [
        "ImageSimilarityCore", "ImageSimilarityFiles", "ImageSimilarityVips", "ImageSimilarityNN",
        "ImageSimilaritySearch",
      ]),
    .target(name: "ImageSimilarityTesting", dependencies: ["ImageSimilarityCore"]),

    // The command line.
    .executableTarget(
      name: "imsim",
      dependencies: [
        "ImageSimilarityKit", "CDemoPhotos",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // C.
    .target(name: "CSimilarityKernels"),
    .target(name: "CVipsShim", dependencies: ["CVips"]),
    .target(name: "CBundledWeights", exclude: ["efficientnet-lite0.safetensors"]),
    .target(name: "CDemoPhotos", exclude: ["photos"]),
    .systemLibrary(
      name: "CVips", pkgConfig: "vips", providers: [.apt(["libvips-dev"]), .brew(["vips"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),

    // Tests.
    .testTarget(name: "ImageSimilarityCoreTests", dependencies: ["ImageSimilarityCore", "ImageSimilarityTesting"]),
    .testTarget(
      name: "ImageSimilarityFilesTests", dependencies: ["ImageSimilarityFiles"], exclude: ["Fixtures"]),
    .testTarget(name: "ImageSimilarityVipsTests", dependencies: ["ImageSimilarityVips", "ImageSimilarityTesting"]),
    .testTarget(
      name: "ImageSimilarityNNTests", dependencies: ["ImageSimilarityNN", "ImageSimilarityTesting"],
      exclude: ["Goldens"]),
    .testTarget(
      name: "ImageSimilaritySearchTests", dependencies: ["ImageSimilaritySearch", "ImageSimilarityTesting"],
      exclude: ["Goldens"]),
    .testTarget(
      name: "ImageSimilarityKitTests", dependencies: ["ImageSimilarityKit", "ImageSimilarityTesting"]),
    .testTarget(name: "imsimTests", dependencies: ["ImageSimilarityKit", "imsim"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)

for target in package.targets where ![.system, .binary, .plugin, .macro].contains(target.type) {
  if target.name.hasPrefix("C") {
    target.cSettings = [.treatAllWarnings(as: .error), .define("_GNU_SOURCE")]
  } else {
    target.swiftSettings = [
      .strictMemorySafety(),
      .treatAllWarnings(as: .error),
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("MemberImportVisibility"),
    ]
  }
}
