import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityWeights
import Testing

@Suite struct AddTests {
  private func code(_ body: () throws -> Void) -> SimilarityError? {
    do {
      try body()
      return nil
    } catch {
      return error as? SimilarityError
    }
  }

  @Test func publishedFileIsKnownByItsDigest() throws {
    let fixture = try Fixture()
    let stored = try fixture.store().add(fixture.file("download (1)", Fixture.weights))
    #expect(stored.isOfficial && stored.isNew && stored.backbone == Fixture.backbone)
    #expect(fixture.contents == [fixture.official.fileName])
    #expect(try Data(contentsOf: stored.url) == Fixture.weights)
    #expect(try fixture.store().add(stored.url).isNew == false)
  }

  @Test func otherFilesAreKnownByTheirTensors() throws {
    let fixture = try Fixture()
    let store = fixture.store()
    let mine = try store.add(fixture.file("mine", Fixture.otherWeights))
    #expect(!mine.isOfficial && mine.backbone == "squeezenet-1.1")
    #expect(try store.add(fixture.file("its", Fixture.unpublished)).backbone == "squeezenet-1.0")
    #expect(fixture.contents == ["squeezenet-1.0.weights", "squeezenet-1.1.weights"])
    #expect(fixture.cache.url(for: "squeezenet-1.0") == store.cache.folder.appending(path: "squeezenet-1.0.weights"))

    let second = code { try store.add(try fixture.file("published", Fixture.weights)) }
    #expect(second?.code == .invalidArgument && second?.message.contains("squeezenet-1.1.weights") == true)
    #expect(try store.remove("squeezenet-1.1"))
    #expect(try !store.remove("squeezenet-1.1"))
    #expect(fixture.contents == ["squeezenet-1.0.weights"])
  }

  @Test func filesThatFitNothing() throws {
    let fixture = try Fixture()
    let store = fixture.store()
    var writer = SafetensorsWriter()
    writer.add("features.0.weight", shape: [1, 2], floats: [1, 2])
    let strange = try fixture.file("strange", writer.data())
    let (empty, text) = (try fixture.file("empty", Data()), try fixture.file("text", Data("text".utf8)))
    let weights = try fixture.file("weights", Fixture.otherWeights)
    for (file, name, expected) in [
      (strange, nil, .weightsMismatch), (strange, "resnet-50", .weightsMismatch), (text, nil, .weightsCorrupt),
      (empty, "resnet-50", .weightsCorrupt), (fixture.folder, nil, .weightsUnreadable),
      (fixture.folder.appending(path: "none"), nil, .weightsUnreadable), (weights, "squeezenet-1.0", .weightsMismatch),
      (weights, "vgg", .invalidArgument), (weights, "efficientnet-lite0", .invalidArgument),
    ] as [(URL, String?, SimilarityError.Code)] {
      let error = code { try store.add(file, as: name) }
      #expect(error?.code == expected, "\(file.lastPathComponent), \(name ?? ""): \(error?.message ?? "")")
    }
    #expect(fixture.contents.isEmpty)
  }

  /// A network cannot be made of weights that are not numbers.
  @Test func notFinite() throws {
    let fixture = try Fixture()
    var weights = Fixture.otherWeights
    let file = try SafetensorsFile(MappedFile(contentsOf: fixture.file("sound", weights)))
    let tensor = try #require(file.tensors.first { $0.name == "features.0.weight" })
    let start = weights.startIndex + tensor.byteRange.lowerBound
    weights.replaceSubrange(start..<start + 4, with: [0, 0, 0xc0, 0x7f])
    let error = code { try fixture.store().add(fixture.file("nan", weights), as: "squeezenet-1.1") }
    #expect(error?.code == .weightsMismatch && error?.message.contains("features.0.weight") == true)
  }

  @Test func networksFindWhatIsThere() throws {
    let fixture = try Fixture()
    let name = "squeezenet-1.0"
    let missing = code { _ = try NetworkExtractor(named: name, weights: nil, cache: fixture.cache) }
    #expect(missing?.code == .weightsUnreadable)
    for part in ["imsim weights pull \(name)", "WeightsStore", "--weights", "https://"] {
      #expect(missing?.message.contains(part) == true)
    }
    let stored = try fixture.store().add(fixture.file("its", Fixture.unpublished))
    let extractor = try NetworkExtractor(named: name, weights: nil, cache: fixture.cache)
    #expect(extractor.specification.weightsPath == stored.url.path)
    #expect(extractor.specification.fingerprint.weights == stored.sha256)
  }

  @Test func damagedFileOfThePublisherIsNamed() throws {
    let fixture = try Fixture()
    try FileManager.default.createDirectory(at: fixture.cache.folder, withIntermediateDirectories: true)
    let official = try #require(OfficialWeights.of("squeezenet-1.0"))
    try Fixture.unpublished.write(to: fixture.cache.folder.appending(path: official.fileName))
    let error = code { _ = try NetworkExtractor(named: official.backbone, weights: nil, cache: fixture.cache) }
    #expect(error?.code == .weightsCorrupt && error?.message.contains("b66bff10...") == true)
  }

  @Test(arguments: [
    (["IMSIM_WEIGHTS": "/w", "XDG_CACHE_HOME": "/x"], "/w"), (["XDG_CACHE_HOME": "/x"], "/x/imsim/weights"),
    (["XDG_CACHE_HOME": "relative", "HOME": "/h"], "/h/.cache/imsim/weights"),
    (["IMSIM_WEIGHTS": "", "XDG_CACHE_HOME": "", "HOME": "/h"], "/h/.cache/imsim/weights"),
  ])
  func folderOfTheCache(_ environment: [String: String], _ path: String) {
    #expect(WeightsCache(environment: environment).folder.path == path)
  }

  @Test func publishedWeightsAreWellFormed() throws {
    #expect(
      Set(OfficialWeights.all.map(\.backbone)) == Set(Backbones.all.map(\.name)).subtracting(["efficientnet-lite0"]))
    for weights in OfficialWeights.all {
      #expect(weights.sha256.count == 8 || weights.sha256.count == 64)
      #expect(weights.fileName.hasSuffix("-\(weights.sha256.prefix(8)).pth") && weights.url.hasPrefix("https://"))
    }
  }
}
