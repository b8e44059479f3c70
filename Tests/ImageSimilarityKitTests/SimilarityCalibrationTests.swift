import FoundationEssentials
import ImageSimilarityKit
import Testing

@Suite struct SimilarityCalibrationTests {
  private let names = [
    "arena-arles", "arena-rome", "bird-kingfisher", "bird-macaw", "bison", "castle-chambord", "castle-chenonceau",
    "cat-jaguars", "cat-tabby", "coffee", "giraffe-head", "giraffe-herd", "moose", "panda-giant", "panda-red",
    "pyramid-giza", "pyramid-red", "rocket",
  ]

  private func model(_ folder: TemporaryFolder) async throws -> SimilarityModel {
    let photos = folder.url("photos")
    try Photos.copy(names, to: photos)
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .folder(photos))
    // arena-arles.jpg is an arena.
    try await model.annotate(
      names.map { ImageAnnotation(id: "\($0).jpg", label: String($0.split(separator: "-")[0])) })
    return model
  }

  @Test func learnsStoresAndReopens() async throws {
    let folder = try TemporaryFolder()
    let model = try await model(folder)
    #expect(try model.similarityCalibration == nil)

    var options = CopyCalibrationOptions()
    options.copies = 2
    var steps: [Int] = []
    var calibration = SimilarityCalibration(of: model)
    let samePicture = try await model.calibrateSamePicture(options) { done, all in
      #expect(all == 18)
      steps.append(done)
    }
    #expect(!steps.isEmpty && steps == steps.sorted() && steps.last ?? 0 <= 18)
    #expect(samePicture.source == .editedCopies && samePicture.queries == 18 && samePicture.leftOut == 0)
    #expect(samePicture.mapping.positives == 36 && samePicture.mapping.negatives >= 360)
    let sameKind = try await model.calibrateSameKind()
    #expect(sameKind.source == .labels && sameKind.queries == 18 && sameKind.images == 18)
    calibration.samePicture = samePicture
    calibration.sameKind = sameKind
    try await model.setSimilarityCalibration(calibration)

    let opened = try await SimilarityModel.open(at: model.url)
    let read = try #require(try opened.similarityCalibration)
    #expect(read == calibration)
    let hits = try await opened.query(.id("panda-red.jpg"), k: 18)
    let same = try #require(read.probabilityOfSamePicture(atDistance: hits[0].distance))
    let other = try #require(read.probabilityOfSamePicture(atDistance: hits[17].distance))
    #expect(same > 0.9 && other < 0.05)
    let kind = try hits.map { try #require(read.probabilityOfSameKind(atDistance: $0.distance)) }
    #expect(kind == kind.sorted(by: >))
    #expect(try await model.calibrateSamePicture(options) == samePicture)

    try await model.setSimilarityCalibration(nil)
    #expect(try model.similarityCalibration == nil)
  }

  @Test func copiesInTheCollectionAreNotDifferent() async throws {
    let folder = try TemporaryFolder()
    let model = try await model(folder)
    let twice = folder.url("photos/again")
    try Photos.copy(Array(names.prefix(6)), to: twice)
    try await model.add(from: .folder(folder.url("photos")))
    var options = CopyCalibrationOptions()
    options.copies = 2
    let pairs = try await model.copyPairs(options)
    // Each of the six is a copy of the other.
    #expect(pairs.leftOut == 12)
    let nearest = pairs.samples.filter { !$0.isSame }.map(\.distance).min() ?? 0
    #expect(nearest > 0.02)
  }

  @Test func saysWhatIsMissing() async throws {
    let folder = try TemporaryFolder()
    func refusal(_ body: () async throws -> SimilarityCalibration.Part) async -> SimilarityError? {
      await #expect(throws: SimilarityError.self) { try await body() }
    }
    let photos = folder.url("photos")
    try Photos.copy(["moose"], to: photos)
    let model = try await SimilarityModel.create(at: folder.url("m.imsim"), from: .folder(photos))
    // One picture has no other; one folder is no two kinds; and then its file is gone.
    #expect(await refusal { try await model.calibrateSamePicture() }?.code == .invalidArgument)
    #expect(await refusal { try await model.calibrateSameKind() }?.code == .invalidArgument)
    try FileManager.default.removeItem(at: photos.appending(path: "moose.jpg"))
    let unreadable = await refusal { try await model.calibrateSamePicture() }
    #expect(unreadable?.message.hasPrefix("none of the 1 pictures of") == true)
    let unknown = await refusal { try await model.calibrate(on: [JudgedPair("moose.jpg", "elk.jpg", isSame: true)]) }
    #expect(unknown?.code == .unknownID)
    let one = await refusal { try await model.calibrate(on: [JudgedPair("moose.jpg", "moose.jpg", isSame: true)]) }
    #expect(
      one?.message == "there is nothing to learn from: of 1 pairs of pictures, 1 are judged the same")
    #expect(await refusal { try await model.calibrate(on: [], baseRate: 1) }?.code == .invalidArgument)
    let empty = try await SimilarityModel.create(at: folder.url("empty.imsim"))
    #expect(await refusal { try await empty.calibrateSamePicture() }?.code == .invalidArgument)
    #expect(await refusal { try await empty.calibrateSameKind() }?.code == .invalidArgument)
  }

  @Test func otherEmbeddingsAreRefused() async throws {
    let folder = try TemporaryFolder()
    let model = try await model(folder)
    var calibration = SimilarityCalibration(of: model)
    calibration.sameKind = try await model.calibrateSameKind()
    var options = SimilarityModel.Options()
    options.metric = .euclidean
    let other = try await SimilarityModel.create(at: folder.url("other.imsim"), options: options)
    let refused = calibration
    let error = await #expect(throws: SimilarityError.self) { try await other.setSimilarityCalibration(refused) }
    #expect(error?.code == .fingerprintMismatch)
    #expect(try other.similarityCalibration == nil)
  }

  @Test func fewPairsAndTheirBaseRate() async throws {
    let folder = try TemporaryFolder()
    let model = try await model(folder)
    let pairs = [
      JudgedPair("arena-arles.jpg", "arena-rome.jpg", isSame: true),
      JudgedPair("giraffe-head.jpg", "giraffe-herd.jpg", isSame: true),
      JudgedPair("coffee.jpg", "moose.jpg", isSame: false),
      JudgedPair("bison.jpg", "rocket.jpg", isSame: false),
    ]
    let even = try await model.calibrate(on: pairs)
    #expect(even.mapping.quality.baseRate == 0.5 && even.source == .pairs && even.queries == 4)
    let rare = try await model.calibrate(on: pairs, baseRate: 0.1)
    #expect(abs(rare.mapping.quality.baseRate - 0.1) < 1e-12)
    // The distance is that of a query.
    let hits = try await model.query(.id("coffee.jpg"), k: 18)
    let moose = try #require(hits.first { $0.id == "moose.jpg" })
    #expect(even.mapping.probability(ofDistance: moose.distance) < 0.5)
    #expect(
      rare.mapping.probability(ofDistance: moose.distance) <= even.mapping.probability(ofDistance: moose.distance))
  }

  @Test func readsPairs() throws {
    let folder = try TemporaryFolder()
    let expected = [
      JudgedPair("a.jpg", "b, c.jpg", isSame: true), JudgedPair("a.jpg", "d.jpg", isSame: false),
      JudgedPair("x", "y", isSame: true),
    ]
    func read(_ text: String, _ name: String) throws -> [JudgedPair] {
      let url = folder.url(name)
      try Data(text.utf8).write(to: url)
      return try JudgedPair.read(contentsOf: url)
    }
    #expect(try read("id,id,same\na.jpg,\"b, c.jpg\",1\r\na.jpg,d.jpg,No\n\nx,y,same\n", "p.csv") == expected)
    #expect(try read("a.jpg,\"b, c.jpg\",true\na.jpg,d.jpg,different\nx,y,yes", "p.CSV") == expected)
    #expect(
      try read(
        """
        {"a": "a.jpg", "b": "b, c.jpg", "same": true}
        {"a": "a.jpg", "b": "d.jpg", "same": false}

        {"same": true, "b": "y", "a": "x"}
        """, "p.jsonl") == expected)
    #expect(try read("", "p.csv").isEmpty)
    for (text, name, problem) in [
      (
        "a,b,1\na,b,maybe", "p.csv", "line 2: expected same or different (or 1, 0, true, false, yes, no), found 'maybe'"
      ),
      ("a,b\n", "p.csv", "line 1: expected two ids and a verdict, found 2 fields"),
      (
        "{\"a\": \"x\"}", "p.jsonl",
        "line 1: expected an object with the ids \"a\" and \"b\", and \"same\", true or false"
      ),
    ] {
      let error = #expect(throws: SimilarityError.self) { _ = try read(text, name) }
      #expect(error?.message.hasSuffix(problem) == true)
    }
  }

  /// Learnt on one half of the pictures of each class, and measured on the other: on copies of other pictures, and on the
  /// neighbours of other pictures.
  @Test(.enabled(if: Photos.hasShared, "needs ../shared"))
  func probabilitiesHoldForOtherPictures() async throws {
    let folder = try TemporaryFolder()
    let data = Photos.shared.appending(path: "data/caltech101-20")
    let classes = try FileManager.default.contentsOfDirectory(atPath: data.path).sorted().prefix(Self.classes)
    var halves: [[ImageItem]] = [[], []]
    for name in classes {
      let files = try FileManager.default.contentsOfDirectory(atPath: data.appending(path: name).path).sorted()
      for (number, file) in files.enumerated() {
        halves[number % 2].append(
          ImageItem(id: "\(name)/\(file)", source: .file(data.appending(path: "\(name)/\(file)")), label: name))
      }
    }
    var models: [SimilarityModel] = []
    for (number, items) in halves.enumerated() {
      models.append(try await SimilarityModel.create(at: folder.url("\(number).imsim"), from: .items(items)))
    }
    var copies = CopyCalibrationOptions()
    copies.pictures = 5 * Self.classes
    copies.copies = 2
    let picture = try await models[0].calibrateSamePicture(copies).mapping
    copies.seed = 1
    let pictureQuality = picture.quality(on: try await models[1].copyPairs(copies).samples)
    #expect(pictureQuality.expectedCalibrationError < 0.02)
    #expect(abs(pictureQuality.logLoss - picture.quality.logLoss) < 0.03)
    let kind = try await models[0].calibrateSameKind().mapping
    let kindQuality = kind.quality(on: try await models[1].kindPairs(KindCalibrationOptions()).samples)
    #expect(kindQuality.expectedCalibrationError < 0.08)
    #expect(abs(kindQuality.logLoss - kind.quality.logLoss) < 0.1)
  }

  private static let classes = 20
}
