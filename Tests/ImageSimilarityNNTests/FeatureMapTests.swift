import ImageSimilarityCore
import ImageSimilarityNN
import Testing

@Suite struct FeatureMapTests {
  @Test(arguments: Precision.allCases) func meanOfTheMapIsTheEmbedding(_ precision: Precision) throws {
    let extractor = try NetworkExtractor.bundled(precision: precision)
    let photos = ImageBatch(try ["cat-tabby", "rocket", "cat-tabby"].map(Fixtures.photo))
    let embeddings = try extractor.extract(photos)
    let maps = try extractor.featureMaps().extract(photos)
    #expect(maps.count == 3)
    for (row, map) in maps.enumerated() {
      #expect([map.rows, map.columns, map.channels] == [7, 7, 1280])
      for (a, b) in zip(map.mean, embeddings[row]) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    }
    #expect(maps[0] == maps[2], "a map does not depend on its neighbours")
    #expect(maps[0] != maps[1])
  }

  @Test func largerInputsGiveFinerMaps() throws {
    let extractor = try NetworkExtractor.bundled()
    let size = PixelSize(width: 320, height: 64)
    let maps = try extractor.featureMaps(inputSize: size)
    #expect([maps.rows, maps.columns, maps.channels] == [2, 10, 1280])
    // Grey everywhere: far from the edges, all cells are alike, and the left and the right half differ only by padding.
    let grey = RGBImage(size: size, pixels: [UInt8](repeating: 128, count: size.area * 3))
    var half = grey
    for y in 0..<size.height {
      for x in size.width / 2..<size.width { half.pixels[(y * size.width + x) * 3] = 255 }
    }
    let found = try maps.extract(ImageBatch([grey, half]))
    func distance(column: Int) -> Float {
      (0..<1280).reduce(0) { $0 + abs(found[0].values[column * 1280 + $1] - found[1].values[column * 1280 + $1]) }
    }
    #expect(distance(column: 9) > 5 * distance(column: 0), "a change on the right shows on the right of the map")
  }

  @Test func mapsOfOtherNetworks() throws {
    let backbone = SqueezeNet(.version1x1)
    let extractor = try NetworkExtractor(backbone, weights: backbone.randomWeights(seed: 3))
    let photos = ImageBatch([try Fixtures.photo("rocket")])
    let (map, embedding) = (try extractor.featureMaps().extract(photos)[0], try extractor.extract(photos)[0])
    for (a, b) in zip(map.mean, embedding) { #expect(abs(a - b) <= 1e-5 * max(1, abs(b))) }
    let scores = try NetworkExtractor(backbone, weights: backbone.randomWeights(seed: 3), layer: .scores)
    #expect(try scores.featureMaps().extract(photos)[0] == map, "maps are those of the pooled layer")
  }

  @Test func impossibleSizesAreRefused() throws {
    let extractor = try NetworkExtractor.bundled()
    for side in [0, 32, 100, 225, 4096] {
      let error = #expect(throws: SimilarityError.self) {
        try extractor.featureMaps(inputSize: PixelSize(width: 224, height: side))
      }
      #expect(error?.code == .invalidArgument)
    }
  }
}
