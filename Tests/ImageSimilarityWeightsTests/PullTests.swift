import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import ImageSimilarityNN
import ImageSimilarityWeights
import MisbehavingServer
import Testing

/// Downloads from a server that keeps the rules, and from ones that do not.
@Suite struct PullTests {
  private static let weights = Fixture.weights
  private static let half = Fixture.weights.count / 2

  private func requireKept(_ fixture: Fixture, _ stored: StoredWeights) throws {
    #expect(try Data(contentsOf: stored.url) == Self.weights)
    #expect(stored.isOfficial && stored.isNew && stored.byteCount == Self.weights.count)
    #expect(stored.sha256 == SHA256.hexDigest(of: Self.weights))
    #expect(fixture.contents == [fixture.official.fileName])
  }

  @Test func wholeFile() async throws {
    let fixture = try Fixture { .file(Self.weights, for: $0, version: "\"1\"") }
    let stored = try await fixture.pull()
    try requireKept(fixture, stored)
    #expect(fixture.server.requests.map(\.path) == ["/models/\(fixture.official.fileName)"])
    #expect(fixture.server.requests[0].start == nil)
    let count = Self.weights.count
    #expect(fixture.events.last == .received(bytes: count, total: count))

    let again = try await fixture.pull()
    #expect(!again.isNew && again.url == stored.url && fixture.server.requests.count == 1)
  }

  @Test func mirrorTakesThePlaceOfThePublisher() async throws {
    let fixture = try Fixture { .file(Self.weights, for: $0) }
    let mirror = URL(string: "\(fixture.server.address)/my/mirror/")
    _ = try await fixture.store(mirror: mirror).pull(Fixture.backbone)
    #expect(fixture.server.requests.map(\.path) == ["/my/mirror/\(fixture.official.fileName)"])
  }

  @Test func cutConnectionIsResumed() async throws {
    let fixture = try Fixture { request in
      .file(Self.weights, for: request, version: "\"1\"", cut: [Self.half, Self.half + 1000][safe: request.number])
    }
    try requireKept(fixture, try await fixture.pull())
    let requests = fixture.server.requests
    #expect(requests.map(\.start) == [nil, Self.half, Self.half + 1000])
    #expect(requests.map { $0.fields["if-range"] } == [nil, "\"1\"", "\"1\""])
    #expect(fixture.retries == 2)
  }

  @Test func otherVersionBeginsAnew() async throws {
    let fixture = try Fixture { request in
      request.number == 0
        ? .file(Fixture.otherWeights, for: request, version: "\"1\"", cut: Self.half)
        : .file(Self.weights, for: request, version: "\"2\"")
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half])
  }

  @Test func serverWithoutPartsSendsTheWhole() async throws {
    let fixture = try Fixture { request in
      .response(
        "200 OK", ["Content-Length: \(Self.weights.count)"],
        request.number == 0 ? Self.weights.prefix(Self.half) : Self.weights)
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half])
  }

  @Test func weakTagIsNotComparedButTheDateIs() async throws {
    let date = "Last-Modified: Tue, 24 Nov 2026 10:00:00 GMT"
    let fixture = try Fixture { request in
      request.number == 0
        ? .response(
          "200 OK", ["ETag: W/\"1\"", date, "Content-Length: \(Self.weights.count)"], Self.weights.prefix(Self.half))
        : .file(Self.weights, for: request)
    }
    _ = try await fixture.pull()
    #expect(fixture.server.requests[1].fields["if-range"] == "Tue, 24 Nov 2026 10:00:00 GMT")
  }

  /// No version tells that the first half is of another file: the whole has another SHA-256, and comes once more.
  @Test func beginningOfAnotherFileIsDropped() async throws {
    let fixture = try Fixture { request in
      .file(
        request.number == 0 ? Fixture.otherWeights : Self.weights, for: request,
        cut: request.number == 0 ? Self.half : nil)
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half, nil])
  }

  @Test(arguments: ["bytes 5-9/10", "bytes */10", "items 1-2/3", "bytes 99999999999999999999-/1"])
  func wrongPartBeginsAnew(_ range: String) async throws {
    let fixture = try Fixture { request in
      switch request.number {
      case 0: .file(Self.weights, for: request, cut: Self.half)
      case 1: .response("206 Partial Content", ["Content-Range: \(range)"], Data("12345".utf8))
      default: .file(Self.weights, for: request)
      }
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half, nil])
  }

  @Test func partBeyondTheEndBeginsAnew() async throws {
    let fixture = try Fixture { request in
      switch request.number {
      case 0: .file(Self.weights, for: request, cut: Self.half)
      case 1: .response("416 Range Not Satisfiable", ["Content-Range: bytes */10"])
      default: .file(Self.weights, for: request)
      }
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half, nil])
  }

  /// A part that nobody asked for is never taken for the whole.
  @Test func unwantedPart() async throws {
    let fixture = try Fixture { _ in
      .response(
        "206 Partial Content", ["Content-Range: bytes 0-\(Self.weights.count - 1)/\(Self.weights.count)"], Self.weights)
    }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && fixture.server.requests.count == 3)
  }

  @Test func longerThanItSaysIsCutThere() async throws {
    let fixture = try Fixture { _ in .response("200 OK", ["Content-Length: 1000"], Self.weights) }
    let error = await fixture.failure()
    #expect(error?.code == .weightsCorrupt && error?.message.contains("1000 bytes") == true)
    #expect(fixture.contents.isEmpty && fixture.server.requests.count == 1)
  }

  @Test func shorterThanItSaysIsTriedAgainAndKept() async throws {
    let fixture = try Fixture { request in
      .response("200 OK", ["Content-Length: \(Self.weights.count + 9)"], Self.weights)
    }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && error?.message.contains("3 times") == true)
    #expect(fixture.contents.first == ".\(Fixture.backbone).part")
  }

  @Test func wrongBytesAreRemoved() async throws {
    var wrong = Self.weights
    wrong[wrong.count - 1] ^= 1
    let fixture = try Fixture { [wrong] in .file(wrong, for: $0, version: "\"1\"") }
    let error = await fixture.failure()
    #expect(error?.code == .weightsCorrupt && fixture.contents.isEmpty && fixture.server.requests.count == 1)
    for part in [SHA256.hexDigest(of: wrong), fixture.official.sha256, fixture.official.url] {
      #expect(error?.message.contains(part) == true)
    }
  }

  /// The SHA-256 is right, and yet there is no network in it.
  @Test func noWeights() async throws {
    let text = Data("<html>Welcome to the hotel's network</html>".utf8)
    let fixture = try Fixture { .file(text, for: $0) }
    let error = await fixture.failure(sha256: SHA256.hexDigest(of: text))
    #expect(error?.code == .weightsCorrupt && fixture.contents.isEmpty)
    #expect(error?.message.contains(fixture.official.url) == true && error?.message.contains(".part") == false)

    let other = try Fixture { .file(Fixture.unpublished, for: $0) }
    let mismatch = await other.failure(sha256: SHA256.hexDigest(of: Fixture.unpublished))
    #expect(mismatch?.code == .weightsMismatch && other.contents.isEmpty)
  }

  @Test func redirects() async throws {
    let fixture = try Fixture { request in
      switch request.number {
      case 0: .response("302 Found", ["Location: /elsewhere?x=1"], Data("moved".utf8))
      case 1: .response("307 Temporary Redirect", ["Location: http://\(request.fields["host"] ?? "")/there"])
      default: .file(Self.weights, for: request)
      }
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.path).suffix(2) == ["/elsewhere?x=1", "/there"])
  }

  @Test func redirectsInALoopEnd() async throws {
    let fixture = try Fixture { _ in .response("302 Found", ["Location: /again"]) }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && error?.message.contains("redirect") == true)
    #expect(fixture.server.requests.count == 6)
  }

  @Test(arguments: ["ftp://127.0.0.1/w.pth", "file:///etc/passwd", "gopher://127.0.0.1/", "scp://127.0.0.1/x"])
  func redirectToAnotherKindOfAddressIsRefused(_ location: String) async throws {
    let fixture = try Fixture { _ in .response("302 Found", ["Location: \(location)"]) }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && error?.message.contains("refused") == true, "\(error?.message ?? "")")
    #expect(fixture.server.requests.count == 1 && fixture.contents.allSatisfy { $0.hasPrefix(".") })
  }

  @Test(arguments: [400, 401, 403, 404, 410, 204, 304, 300])
  func statusThatIsFinal(_ status: Int) async throws {
    let fixture = try Fixture { _ in .response("\(status) Something", [], Data((status < 400 ? "" : "<html>").utf8)) }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && error?.message.contains("HTTP status \(status)") == true)
    #expect(fixture.server.requests.count == 1 && fixture.events.isEmpty)
    #expect(error?.message.contains("\n") == false)
  }

  @Test(arguments: [500, 502, 503, 429, 408])
  func statusThatMayPass(_ status: Int) async throws {
    let fixture = try Fixture { request in
      request.number < 2 ? .response("\(status) Later") : .file(Self.weights, for: request)
    }
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.retries == 2)

    let never = try Fixture { _ in .response("\(status) Later") }
    let error = await never.failure()
    #expect(error?.message.contains("HTTP status \(status), 3 times") == true && never.server.requests.count == 3)
  }

  @Test func stallIsCut() async throws {
    let fixture = try Fixture { request in
      request.number == 0
        ? .file(Self.weights, for: request, cut: Self.half) + [.wait(milliseconds: 5000)]
        : .file(Self.weights, for: request)
    }
    try requireKept(fixture, try await fixture.pull { $0.stallTimeout = .seconds(1) })
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half])
  }

  @Test func slowDripIsCut() async throws {
    let drip = (0..<100).flatMap { _ in [.wait(milliseconds: 50), .send(Data([7]))] as [MisbehavingServer.Action] }
    let fixture = try Fixture { _ in .response("200 OK", ["Content-Length: 1000000"]) + drip }
    let error = await fixture.failure {
      $0.stallTimeout = .seconds(1)
      $0.attempts = 1
    }
    #expect(error?.code == .downloadFailed && error?.message.contains("slow") == true)
  }

  @Test func endlessBodyIsCutAtTheLimit() async throws {
    let fixture = try Fixture { _ in
      [.send(Data("HTTP/1.1 200 OK\r\n\r\n".utf8)), .sendForever(Data(repeating: 7, count: 1 << 16))]
    }
    let error = await fixture.failure()
    #expect(error?.code == .downloadFailed && error?.message.contains("more than the weights can have") == true)
    #expect(fixture.events.count > 10 && fixture.server.requests.count == 1)
  }

  @Test func lengthBeyondTheLimitIsRefusedAtOnce() async throws {
    for length in ["1000001", "9223372036854775807"] {
      let fixture = try Fixture { _ in
        .response("200 OK", ["Content-Length: \(length)"]) + [.sendForever(Data(repeating: 7, count: 1 << 16))]
      }
      let error = await fixture.failure { $0.sizeLimit = 1_000_000 }
      #expect(error?.message.contains("more than 1000000 bytes") == true && fixture.events.isEmpty)
    }
  }

  @Test(arguments: ["", "garbage\r\n\r\n", "HTTP/1.1 two hundred\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n"])
  func noHTTP(_ answer: String) async throws {
    let fixture = try Fixture { _ in [.send(Data(answer.utf8))] }
    let error = await fixture.failure()
    #expect(error != nil && error?.message.contains("\n") == false)
    #expect(fixture.contents.allSatisfy { $0.hasPrefix(".") })
  }

  @Test func noServer() async throws {
    let fixture = try Fixture()
    let error = await fixture.failure(from: "http://127.0.0.1:1/w.pth")
    #expect(error?.code == .downloadFailed && fixture.events.isEmpty)
  }

  @Test(.enabled(if: TLSServer.isAvailable, "needs openssl"))
  func encryptedConnections() async throws {
    let fixture = try Fixture()
    let files = [
      "w.pth": "HTTP/1.0 200 OK\r\n\r\n".utf8 + Self.weights,
      "moved": "HTTP/1.0 302 Found\r\nLocation: \(fixture.server.address)/w.pth\r\n\r\n".utf8 + Data(),
    ]
    let server = try TLSServer(files: files, in: fixture.folder)
    let untrusted = await fixture.failure(from: server.address + "/w.pth")
    #expect(untrusted?.code == .downloadFailed && untrusted?.message.contains("certificate") == true)
    let moved = await fixture.failure(from: server.address + "/moved") {
      $0.certificateAuthorities = server.certificate
    }
    #expect(moved?.code == .downloadFailed && moved?.message.contains("refused") == true)
    #expect(fixture.server.requests.isEmpty)
    let stored = try await fixture.pull(from: server.address + "/w.pth") {
      $0.certificateAuthorities = server.certificate
    }
    try requireKept(fixture, stored)
  }

  @Test func passwordIsNotShown() async throws {
    let fixture = try Fixture { _ in .response("404 Not Found") }
    let address = fixture.server.address.replacing("http://", with: "http://me:secret@") + "/w@1.pth"
    let error = await fixture.failure(from: address)
    #expect(error?.message.contains("secret") == false && error?.message.contains("/w@1.pth") == true)
    #expect(fixture.server.requests[0].fields["authorization"]?.hasPrefix("Basic ") == true)
  }

  @Test func cancelledDownloadGoesOnLater() async throws {
    let fixture = try Fixture { request in
      request.number == 0
        ? .file(Self.weights, for: request, version: "\"1\"", cut: Self.half) + [.wait(milliseconds: 20_000)]
        : .file(Self.weights, for: request, version: "\"1\"")
    }
    let store = fixture.store()
    let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      try await store.pull(Fixture.backbone) { event in
        if case .received(Self.half, _) = event { arrival.yield() }
      }
    }
    for await _ in arrivals { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(fixture.contents == [".\(Fixture.backbone).part", ".\(Fixture.backbone).part.version"])
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.map(\.start) == [nil, Self.half])
  }

  @Test func pauseIsCancelled() async throws {
    let fixture = try Fixture { _ in .response("500 Later") }
    let store = fixture.store { $0.pause = .seconds(600) }
    let (pauses, pause) = AsyncStream.makeStream(of: Void.self)
    let task = Task { try await store.pull(Fixture.backbone) { _ in pause.yield() } }
    for await _ in pauses { break }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  /// The process was stopped between the last byte and the check.
  @Test func completePartNeedsNoRequest() async throws {
    let fixture = try Fixture()
    try FileManager.default.createDirectory(at: fixture.cache.folder, withIntermediateDirectories: true)
    try Self.weights.write(to: fixture.cache.folder.appending(path: ".\(Fixture.backbone).part"))
    try requireKept(fixture, try await fixture.pull())
    #expect(fixture.server.requests.isEmpty)
  }

  @Test func oneDownloadAtATime() async throws {
    let fixture = try Fixture { request in
      .file(Self.weights, for: request, cut: Self.half) + [.wait(milliseconds: 20_000)]
    }
    let store = fixture.store()
    let (arrivals, arrival) = AsyncStream.makeStream(of: Void.self)
    let task = Task { try await store.pull(Fixture.backbone) { _ in arrival.yield() } }
    for await _ in arrivals { break }
    let error = await fixture.failure()
    #expect(error?.code == .downloadLocked && fixture.server.requests.count == 1)
    #expect { try store.remove(Fixture.backbone) } throws: { ($0 as? SimilarityError)?.code == .downloadLocked }
    task.cancel()
    _ = try? await task.value
    #expect(try store.remove(Fixture.backbone) && fixture.contents.isEmpty)
  }

  @Test func ownWeightsByTheirDigest() async throws {
    let fixture = try Fixture { .file(Fixture.otherWeights, for: $0) }
    let digest = SHA256.hexDigest(of: Fixture.otherWeights)
    let stored = try await fixture.pull(from: fixture.server.address + "/mine", sha256: digest.uppercased())
    #expect(!stored.isOfficial && fixture.contents == ["\(Fixture.backbone).weights"])
    #expect(try await fixture.pull(sha256: digest).isNew == false)
    // Two files of one network would make it a matter of luck which is used.
    let error = await fixture.failure()
    #expect(error?.code == .invalidArgument && error?.message.contains("weights remove") == true)
    #expect(fixture.server.requests.count == 1)
  }

  @Test func fileAsSource() async throws {
    let fixture = try Fixture()
    let file = try fixture.file("w.pth", Self.weights)
    try requireKept(fixture, try await fixture.pull(from: file.absoluteString))
    try fixture.store().remove(Fixture.backbone)
    let wrong = try fixture.file("x.pth", Fixture.otherWeights)
    let error = await fixture.failure(from: wrong.absoluteString)
    #expect(error?.code == .weightsCorrupt && fixture.contents.isEmpty)
  }

  @Test func damagedFileIsReplaced() async throws {
    let fixture = try Fixture { .file(Self.weights, for: $0) }
    _ = try await fixture.pull()
    try Data("damaged".utf8).write(to: fixture.cache.folder.appending(path: fixture.official.fileName))
    try requireKept(fixture, try await fixture.pull())
  }

  @Test func namesAndDigestsAreChecked() async throws {
    let fixture = try Fixture()
    for (name, sha256, part) in [
      ("vgg", nil, "no backbone named 'vgg'"), ("efficientnet-lite0", nil, "comes with its weights"),
      ("resnet-50", nil, "no weights of resnet-50 are published"), (Fixture.backbone, "abc", "64 hexadecimal digits"),
    ] as [(String, String?, String)] {
      await #expect {
        try await fixture.store().pull(name, sha256: sha256)
      } throws: {
        ($0 as? SimilarityError)?.code == .invalidArgument && "\($0)".contains(part)
      }
    }
    #expect(await fixture.failure(from: "ftp://127.0.0.1/w")?.code == .invalidArgument)
    #expect(fixture.server.requests.isEmpty)
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
