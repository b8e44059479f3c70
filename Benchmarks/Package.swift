// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS("26.0")],
  dependencies: [
    .package(name: "ImageSimilarityKit", path: ".."),
    // Without its traits: they count allocations and references, which costs the time that is measured here.
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "ExtractorBenchmarks",
      dependencies: [
        .product(name: "Benchmark", package: "benchmark"),
        .product(name: "ImageSimilarityKit", package: "ImageSimilarityKit"),
        "SeededNoise",
      ],
      path: "Benchmarks/ExtractorBenchmarks",
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    .executableTarget(
      name: "KernelBenchmarks",
      dependencies: [.product(name: "Benchmark", package: "benchmark"), "CKernels", "CBLAS", "SeededNoise"],
      path: "Benchmarks/KernelBenchmarks",
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),

    .target(name: "SeededNoise", path: "Benchmarks/SeededNoise"),

    // The package's own C targets, which are no products of it: symbolic links, under names of their own, since names of
    // targets are unique among all packages.
    .target(name: "CKernels", path: "Benchmarks/CKernels", cSettings: [.define("_GNU_SOURCE")]),
    .systemLibrary(name: "CBLAS", path: "Benchmarks/CBLAS", pkgConfig: "openblas"),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
