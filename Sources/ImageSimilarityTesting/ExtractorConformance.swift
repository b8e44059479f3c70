public import ImageSimilarityCore

/// Whether a ``FeatureExtractor`` keeps the promises that the protocol's documentation asks for.
///
/// Independent of a test framework: a promise that is broken throws ``ConformanceFailure``.
///
/// ```swift
/// @Test func conforms() async throws { try await ExtractorConformance.check(MyExtractor()) }
/// ```
public enum ExtractorConformance {
  /// - Parameter images: Pictures of the extractor's input size to try besides noise, where noise alone tells little.
  public static func check<E: FeatureExtractor>(_ extractor: E, images: [RGBImage] = []) async throws {
    let specification = extractor.specification
    let size = specification.input.size
    try require(extractor.dimension > 0, "the dimension is positive", "\(extractor.dimension)")
    try require(
      !specification.fingerprint.architecture.isEmpty, "the fingerprint names the architecture", "it is empty")
    try require(
      images.allSatisfy { $0.size == size }, "the images to try have the extractor's input size", "\(size)")

    let pictures = images + (0..<3).map { noise(size: size, seed: UInt64($0)) }
    let alone = try pictures.map { try extractor.extract(ImageBatch([$0]))[0] }
    for (i, embedding) in alone.enumerated() {
      try require(
        embedding.allSatisfy(\.isFinite), "embeddings are finite", "picture \(i) gives \(embedding.prefix(4))...")
    }
    try require(Set(alone).count > 1, "different pictures give different embeddings", "all \(alone.count) are equal")

    try checkBatches(extractor, pictures, alone)
    try await checkConcurrency(extractor, pictures, alone)
  }

  /// An embedding is the same to the bit at every position of every batch, in a new workspace and in a used one.
  private static func checkBatches<E: FeatureExtractor>(
    _ extractor: E, _ pictures: [RGBImage], _ alone: [[Float]]
  ) throws {
    var workspace = extractor.makeWorkspace()
    for order in [
      Array(pictures.indices), Array(pictures.indices.reversed()), pictures.indices.map { $0 } + pictures.indices,
    ] {
      let batch = ImageBatch(order.map { pictures[$0] })
      // What the extractor does not write shows as NaN.
      var values = [Float](repeating: .nan, count: order.count * extractor.dimension)
      var span = values.mutableSpan
      try extractor.extract(batch, using: &workspace, into: &span)
      for (row, picture) in order.enumerated() {
        let found = Array(values[row * extractor.dimension..<(row + 1) * extractor.dimension])
        try require(
          found == alone[picture], "an embedding does not depend on its batch, position or workspace",
          "picture \(picture) at row \(row) of \(order.count) differs from the picture alone")
      }
    }
  }

  private static func checkConcurrency<E: FeatureExtractor>(
    _ extractor: E, _ pictures: [RGBImage], _ alone: [[Float]]
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          let together = try extractor.extract(ImageBatch(pictures))
          for (row, expected) in alone.enumerated() {
            try require(
              together[row] == expected, "threads with workspaces of their own do not disturb each other",
              "picture \(row) differs when four tasks extract at once")
          }
        }
      }
      try await group.waitForAll()
    }
  }

  /// Seeded noise, the same on every machine (splitmix64).
  private static func noise(size: PixelSize, seed: UInt64) -> RGBImage {
    var state = seed
    return RGBImage(
      size: size,
      pixels: (0..<size.area * 3).map { _ in
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return UInt8(truncatingIfNeeded: (z ^ (z >> 31)) >> 24)
      })
  }
}
