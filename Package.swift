// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "ImageSimilarityKit",
  platforms: [.macOS("26.0")],
  products: [
    .library(name: "ImageSimilarityKit", targets: ["ImageSimilarityKit"]),
    .library(name: "ImageSimilarityCore", targets: ["ImageSimilarityCore"]),
    .library(name: "ImageSimilarityTesting", targets: ["ImageSimilarityTesting"]),
    .library(name: "ImageSimilarityONNX", targets: ["ImageSimilarityONNX"]),
    .library(name: "ImageSimilarityWeights", targets: ["ImageSimilarityWeights"]),
    .library(name: "ImageSimilarityCoreML", targets: ["ImageSimilarityCoreML"]),
    .executable(name: "imsim", targets: ["imsim"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
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
        "ImageSimilarityCore", "ImageSimilarityFiles", "CSimilarityKernels", "CBundledWeights",
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
    .target(
      name: "ImageSimilarityONNX",
      dependencies: [
        "ImageSimilarityCore", "ImageSimilarityFiles", "ImageSimilarityNN", "CSimilarityKernels",
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Schema/onnx.proto"]),
    .target(
      name: "ImageSimilarityWeights",
      dependencies: ["ImageSimilarityCore", "ImageSimilarityFiles", "ImageSimilarityNN", "CCurl"]),
    .target(
      name: "ImageSimilarityCoreML",
      dependencies: [
        "ImageSimilarityKit", "CSimilarityKernels", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Schema/coreml.proto"]),

    // The command line.
    .executableTarget(
      name: "imsim",
      dependencies: [
        "ImageSimilarityKit", "ImageSimilarityONNX", "ImageSimilarityCoreML", "ImageSimilarityWeights", "CDemoPhotos",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // C.
    .target(name: "CSimilarityKernels"),
    .target(
      name: "CVipsShim", dependencies: ["CVips"], linkerSettings: [.linkedLibrary("vips"), .linkedLibrary("jpeg")]),
    .target(
      name: "CBundledWeights", exclude: ["efficientnet-lite0.safetensors", "efficientnet-lite0.calibration.json"]),
    .target(name: "CDemoPhotos", exclude: ["photos"]),
    // vips.h needs only GObject's headers; vips.pc would add the flags of every format library, some of which SwiftPM warns of.
    .systemLibrary(
      name: "CVips", pkgConfig: "gobject-2.0", providers: [.apt(["libvips-dev"]), .brew(["vips"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .systemLibrary(
      name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"]), .brew(["curl"])]),

    // Tests.
    .testTarget(name: "ImageSimilarityCoreTests", dependencies: ["ImageSimilarityCore", "ImageSimilarityTesting"]),
    .testTarget(
      name: "ImageSimilarityFilesTests", dependencies: ["ImageSimilarityFiles", "CSimilarityKernels"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "ImageSimilarityVipsTests", dependencies: ["ImageSimilarityVips", "ImageSimilarityTesting", "CVipsShim"],
      exclude: ["Fixtures"]),
    .testTarget(
      name: "ImageSimilarityNNTests",
      dependencies: ["ImageSimilarityNN", "ImageSimilarityTesting", "CSimilarityKernels"],
      exclude: ["Goldens"]),
    .testTarget(
      name: "ImageSimilaritySearchTests",
      dependencies: ["ImageSimilaritySearch", "ImageSimilarityTesting", "CSimilarityKernels"],
      exclude: ["Goldens"]),
    .testTarget(
      name: "ImageSimilarityKitTests", dependencies: ["ImageSimilarityKit", "ImageSimilarityTesting"],
      exclude: ["Goldens"]),
    .testTarget(
      name: "ImageSimilarityONNXTests",
      dependencies: ["ImageSimilarityONNX", "ImageSimilarityTesting"], exclude: ["Conformance"]),
    .testTarget(
      name: "ImageSimilarityWeightsTests", dependencies: ["ImageSimilarityWeights", "MisbehavingServer"]),
    .testTarget(
      name: "ImageSimilarityCoreMLTests",
      dependencies: ["ImageSimilarityCoreML", "ImageSimilarityKit"]),
    .testTarget(name: "imsimTests", dependencies: ["ImageSimilarityKit", "MisbehavingServer", "imsim"]),
    .target(name: "MisbehavingServer", path: "Tests/MisbehavingServer"),
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
