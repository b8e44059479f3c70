import FoundationEssentials
import ImageSimilarityKit
import ImageSimilarityTesting
import Testing

@Suite struct RegionTests {
  private func cut(_ image: RGBImage, _ box: PixelRegion) -> RGBImage {
    var pixels: [UInt8] = []
    for y in box.y..<box.y + box.height {
      let start = (y * image.size.width + box.x) * 3
      pixels += image.pixels[start..<start + box.width * 3]
    }
    return RGBImage(size: PixelSize(width: box.width, height: box.height), pixels: pixels)
  }

  @Test func cropFindsItsPictureAndPlace() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(at: folder.url("model.imsim"), from: .folder(Photos.bundled))
    let places = [
      ("panda-red.jpg", RelativeRegion(x: 0.4, y: 0.3, width: 0.45, height: 0.5)),
      ("castle-chambord.jpg", RelativeRegion(x: 0.1, y: 0.25, width: 0.5, height: 0.6)),
      ("coffee.jpg", RelativeRegion(x: 0.2, y: 0.2, width: 0.7, height: 0.7)),
      ("bison.jpg", RelativeRegion(x: 0, y: 0, width: 1, height: 1)),
    ]
    for (id, place) in places {
      let picture = try VipsImageDecoder().decode(.file(Photos.bundled.appending(path: id)), maximumSide: nil)
      let box = place.pixels(of: picture.size)
      let crop = ImageSource.pixels(cut(picture, box))
      let hits = try await model.locate(crop: crop, k: 3)
      #expect(hits.map(\.rank) == [1, 2, 3])
      #expect(hits[0].id == id)
      #expect(hits[0].size == picture.size)
      #expect(hits[0].region.intersectionOverUnion(box) >= 0.6, "\(id): \(hits[0].region), \(box)")
      #expect(hits[0].similarity > hits[1].similarity && hits[0].similarity <= 1.0001)
      #expect(try await model.locate(crop: crop, k: 3) == hits, "the same answer every time")
    }
  }

  @Test func coarseSearchComesBeforeTheCloseOne() async throws {
    let folder = try TemporaryFolder()
    let model = try await SimilarityModel.create(at: folder.url("model.imsim"), from: .folder(Photos.bundled))
    let file = Photos.bundled.appending(path: "moose.jpg")
    let picture = try VipsImageDecoder().decode(.file(file), maximumSide: nil)
    let box = RelativeRegion(x: 0.2, y: 0.1, width: 0.6, height: 0.6).pixels(of: picture.size)
    var options = LocateOptions()
    (options.shortlist, options.finalists) = (10, 2)
    let hits = try await model.locate(crop: .pixels(cut(picture, box)), k: 1, options: options)
    #expect(hits.map(\.id) == ["moose.jpg"])
    #expect(hits[0].region.intersectionOverUnion(box) >= 0.6)
  }

  @Test func picturesThatAreGoneArePassedOver() async throws {
    let folder = try TemporaryFolder()
    let photos = folder.url("photos")
    try Photos.copy(["bison", "moose"], to: photos)
    let model = try await SimilarityModel.create(at: folder.url("model.imsim"), from: .folder(photos))
    try FileManager.default.removeItem(at: photos.appending(path: "moose.jpg"))
    let crop = ImageSource.file(Photos.bundled.appending(path: "moose.jpg"))
    #expect(try await model.locate(crop: crop).map(\.id) == ["bison.jpg"])
    try FileManager.default.removeItem(at: photos.appending(path: "bison.jpg"))
    let error = await #expect(throws: SimilarityError.self) { try await model.locate(crop: crop) }
    #expect(error?.code == .imageUnreadable)
    let none = await #expect(throws: SimilarityError.self) { try await model.locate(crop: crop, k: 0) }
    #expect(none?.code == .invalidArgument)
  }

  @Test(arguments: [ResizeMode.pad, .squash, .crop]) func contributionsAddUp(_ resize: ResizeMode) async throws {
    let folder = try TemporaryFolder()
    let photos = folder.url("photos")
    try Photos.copy(["cat-tabby", "cat-jaguars", "castle-chambord"], to: photos)
    let model = try await SimilarityModel.create(
      at: folder.url("model.imsim"), from: .folder(photos), extractor: NetworkExtractor.bundled(resize: resize))
    let query = photos.appending(path: "cat-tabby.jpg")
    let hits = try await model.query(.file(query), k: 3)
    for hit in hits {
      let explanation = try await model.explain(.file(query), hit: hit.id)
      #expect(abs(explanation.similarity - (1 - hit.distance)) <= 1e-5)
      #expect(abs(explanation.query.sum - explanation.similarity) <= 1e-5)
      #expect(abs(explanation.hit.sum - explanation.similarity) <= 1e-5)
      #expect(abs(explanation.pairs.reduce(0) { $0 + Double($1) } - Double(explanation.similarity)) <= 1e-5)
      let cells = explanation.hit.contributions.count
      for cell in explanation.query.contributions.indices {
        let row = explanation.pairs[cell * cells..<(cell + 1) * cells].reduce(0, +)
        #expect(abs(row - explanation.query.contributions[cell]) <= 1e-5)
      }
      for map in [explanation.query, explanation.hit] {
        let regions = map.regions()
        #expect(!regions.isEmpty && regions.count <= 3)
        #expect(regions.map(\.contribution) == regions.map(\.contribution).sorted(by: >))
        for part in regions {
          #expect(part.region.x >= 0 && part.region.x + part.region.width <= map.size.width)
          #expect(part.region.y >= 0 && part.region.y + part.region.height <= map.size.height)
        }
      }
    }
  }

  @Test func whatIsAloneInAPictureIsHot() async throws {
    // A photograph in the right half of a white picture, against the photograph.
    let folder = try TemporaryFolder()
    let photos = folder.url("photos")
    try Photos.copy(["panda-giant"], to: photos)
    let model = try await SimilarityModel.create(at: folder.url("model.imsim"), from: .folder(photos))
    let photo = try VipsImageDecoder().decode(.file(photos.appending(path: "panda-giant.jpg")), maximumSide: 200)
    let size = PixelSize(width: 400, height: photo.size.height)
    var picture = RGBImage(size: size, pixels: [UInt8](repeating: 255, count: size.area * 3))
    for y in 0..<photo.size.height {
      for i in 0..<photo.size.width * 3 {
        picture.pixels[(y * size.width + 200) * 3 + i] = photo.pixels[y * photo.size.width * 3 + i]
      }
    }
    let explanation = try await model.explain(.pixels(picture), hit: "panda-giant.jpg")
    let best = try #require(explanation.query.regions().first)
    #expect(best.region.x >= 130, "\(best)")
    let drawn = explanation.query.render(over: picture)
    #expect(drawn.size == picture.size && drawn != picture)
    // Red over the photograph, hardly anything over the white.
    func redness(_ x: Int) -> Int {
      (0..<size.height).reduce(0) { sum, y in
        let i = (y * size.width + x) * 3
        return sum + Int(drawn.pixels[i]) - Int(drawn.pixels[i + 2])
      }
    }
    #expect(redness(best.region.x + best.region.width / 2) > redness(20))
    _ = try ContactSheet(explanation, query: .pixels(picture), name: "panda").jpeg()
    await #expect(throws: SimilarityError.self) { try await model.explain(.pixels(picture), hit: "nobody") }
  }

  @Test func overlapOfRegions() {
    let region = PixelRegion(x: 10, y: 10, width: 20, height: 10)
    #expect(region.intersectionOverUnion(region) == 1)
    #expect(region.intersectionOverUnion(PixelRegion(x: 30, y: 10, width: 5, height: 5)) == 0)
    #expect(region.intersectionOverUnion(PixelRegion(x: 20, y: 10, width: 20, height: 10)) == 1.0 / 3)
    let size = PixelSize(width: 40, height: 50)
    #expect(region.relative(to: size).pixels(of: size) == region)
    #expect(RelativeRegion(x: 1, y: 1, width: 0, height: 0).pixels(of: size).area == 1)
  }

  /// Not the benchmark (Benchmarks/Regions), but enough to show when it would fail.
  @Test(.enabled(if: Photos.hasShared, "needs ../shared")) func cropsOfCaltechAreFound() async throws {
    let folder = try TemporaryFolder()
    let root = Photos.shared.appending(path: "data/caltech101-20")
    let classes = ["anchor", "dalmatian", "lamp", "pizza"]
    let items = try classes.flatMap { name in
      let folder = root.appending(path: name)
      return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map {
        ImageItem(id: "\(name)/\($0)", source: .file(folder.appending(path: $0)))
      }
    }
    let model = try await SimilarityModel.create(at: folder.url("model.imsim"), from: .items(items))
    var options = LocateOptions()
    (options.shortlist, options.finalists) = (40, 8)
    var noise = SplitMix(state: 5)
    var (queries, first, found) = (0, 0, 0)
    for id in try model.ids.enumerated().filter({ $0.offset % 3 == 1 }).map(\.element) {
      guard let path = try model.record(id)?.path else { continue }
      let picture = try VipsImageDecoder().decode(.file(URL(fileURLWithPath: path)), maximumSide: nil)
      let side = (0.15 + 0.1 * noise.next()).squareRoot()
      let place = RelativeRegion(
        x: noise.next() * (1 - side), y: noise.next() * (1 - side), width: side, height: side)
      let box = place.pixels(of: picture.size)
      let hits = try await model.locate(crop: .pixels(cut(picture, box)), k: 1, options: options)
      queries += 1
      guard hits[0].id == id else { continue }
      first += 1
      if hits[0].region.intersectionOverUnion(box) >= 0.5 { found += 1 }
    }
    #expect(queries == 27)
    #expect(first >= 23, "\(first) of \(queries)")
    #expect(found >= 20, "\(found) of \(queries)")
  }
}

/// Uniform numbers in [0, 1): Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.
private struct SplitMix {
  var state: UInt64

  mutating func next() -> Double {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
  }
}
