import Foundation
import ImageSimilarityKit
import MisbehavingServer
import Testing

/// Runs the built binary as a person does, and reads all that it says.
@Suite struct CommandTests {
  private struct Result {
    var code: Int32
    var output: String
    var error: String
  }

  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  private static let photos = root.appending(path: "Sources/CDemoPhotos/photos")

  /// The binary lies beside the test bundle.
  private static let binary: URL = {
    let product = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "imsim")
    if FileManager.default.isExecutableFile(atPath: product.path) { return product }
    let build = ProcessInfo.processInfo.environment["IMSIM_BINARY"]
    return URL(fileURLWithPath: build ?? root.appending(path: ".build/release/imsim").path)
  }()

  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "imsim-cli-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  private func start(_ arguments: [String]) throws -> (process: Process, output: URL, error: URL) {
    let process = Process()
    process.executableURL = Self.binary
    process.arguments = arguments
    process.currentDirectoryURL = folder
    // Weights that the user has do not change what is tested.
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["IMSIM_WEIGHTS": folder.appending(path: "weights").path]) { $1 }
    let (output, error) = (folder.appending(path: UUID().uuidString), folder.appending(path: UUID().uuidString))
    for url in [output, error] { try Data().write(to: url) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return (process, output, error)
  }

  private func imsim(_ arguments: String...) throws -> Result { try imsim(arguments) }

  private func imsim(_ arguments: [String]) throws -> Result {
    let (process, output, error) = try start(arguments)
    process.waitUntilExit()
    return Result(
      code: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
      error: try String(contentsOf: error, encoding: .utf8))
  }

  private func objects(_ text: String) throws -> [[String: Any]] {
    try text.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func mainJob() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let indexed = try imsim("index", Self.photos.path, "--model", "m", "--json")
    #expect(indexed.code == 0 && indexed.error.isEmpty)
    let report = try objects(indexed.output)
    #expect(report.count == 1)
    #expect(Set(report[0].keys) == ["indexed", "skipped", "unchanged", "seconds"])
    #expect(report[0]["indexed"] as? Int == 18 && report[0]["skipped"] as? Int == 0)

    let moose = Self.photos.appending(path: "moose.jpg").path
    let query = try imsim("query", "m", moose, "-k", "3", "--json", "--sheet", "sheet.jpg")
    let hits = try objects(query.output)
    #expect(query.code == 0 && hits.count == 3)
    #expect(Set(hits[0].keys) == ["query", "rank", "reference", "distance"])
    #expect(hits[0]["query"] as? String == moose && hits[0]["reference"] as? String == "moose.jpg")
    #expect(hits[0]["distance"] as? Double == 0 && hits.map { $0["rank"] as? Int } == [1, 2, 3])
    #expect(try Data(contentsOf: folder.appending(path: "sheet.jpg")).starts(with: [0xff, 0xd8]))

    let graph = try imsim("graph", "m", "-k", "2", "--json")
    #expect(try objects(graph.output).count == 36)
    let evaluation = try objects(try imsim("evaluate", "m", "--json").output)
    #expect(evaluation[0]["images"] as? Int == 18 && evaluation[0]["precision_at_1"] as? Double == 1)

    let removed = try imsim("remove", "m", "moose.jpg", "coffee.jpg")
    #expect(removed.code == 0 && removed.output == "removed 2 pictures, 16 left\n")
    #expect(try imsim("remove", "m", "moose.jpg").code == 1)
    let info = try objects(try imsim("info", "m", "--json", "--verify").output)
    #expect(info[0]["images"] as? Int == 16)
    let again = try objects(try imsim("index", Self.photos.path, "--model", "m", "--json").output)
    #expect(again[0]["indexed"] as? Int == 2 && again[0]["unchanged"] as? Int == 16)
  }

  @Test func evaluateShowsClassesAndCompares() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    // On a line: two classes, one of them spread out.
    for (name, places) in [("a", [0, 1, 2, 5, 1.5, 9]), ("b", [0, 1, 2, 50, 52, 53])] as [(String, [Float])] {
      let url = folder.appending(path: "\(name).npy")
      try NumPyFile.write(EmbeddingMatrix(places.map { [$0, 1] }), to: url)
      let records = places.indices.map { "{\"id\":\"p\($0)\",\"label\":\"\($0 < 3 ? "near, here" : "far")\"}\n" }
      try records.joined().write(to: folder.appending(path: "\(name).jsonl"), atomically: true, encoding: .utf8)
      #expect(try imsim("import", name, "\(name).npy", "--records", "\(name).jsonl", "--metric", "euclidean").code == 0)
    }
    let text = try imsim("evaluate", "a", "--k", "1,2", "--resamples", "100", "--per-class", "--csv", "a.csv")
    #expect(text.code == 0 && text.error.isEmpty)
    for part in ["images   6", "100 resamples", "precision at 2", "worst classes", "near, here", "taken for"] {
      #expect(text.output.contains(part), "\(part)")
    }
    #expect(!text.output.contains("precision at 5"))
    let lines = try String(contentsOf: folder.appending(path: "a.csv"), encoding: .utf8).split(separator: "\r\n")
    #expect(lines[0] == "model,scope,class,images,queries,measure,value,lower,upper")
    #expect(lines.contains { $0.hasPrefix("a,class,\"near, here\",3,3,precision_at_1,") })
    // Ranks 1, 2 and 5, three kinds; five other measures; over queries, classes, and each of two classes.
    #expect(lines.count == 1 + 14 * 4)

    let half = try objects(try imsim("evaluate", "a", "--where", "label=far", "--json").output)
    #expect(half[0]["images"] as? Int == 3)
    let found = try objects(try imsim("evaluate", "a", "b", "--json").output)
    let entries = try #require(found[0]["entries"] as? [[String: Any]])
    #expect(entries.map { $0["name"] as? String } == ["a", "b"] && found[0]["not_shared"] as? Int == 0)
    let evaluation = try #require(entries[1]["evaluation"] as? [String: Any])
    #expect(evaluation["precision_at_1"] as? Double == 1)
    let table = try imsim("evaluate", "a", "b")
    #expect(table.code == 0 && table.output.contains("difference to a") && table.output.contains("p 0."))
    #expect(try imsim("evaluate", "a", "--k", "0").code == 2)
    #expect(try imsim("evaluate", "a", "--where", "label=none").code == 1)
  }

  @Test func damageAndRepair() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m", "--storage", "fp16").code == 0)
    #expect(try imsim("info", "m").output.contains("storage        fp16"))
    let refused = try imsim("index", Self.photos.path, "--model", "m", "--storage", "fp32")
    #expect(refused.code == 1 && refused.error.contains("stores embeddings in fp16"))
    #expect(try imsim("upgrade", "m").code == 0)
    let sound = try imsim("repair", "m")
    #expect(sound.code == 0 && sound.output.contains("nothing is damaged"))

    let file = folder.appending(path: "m/segments/000001.safetensors")
    var data = try Data(contentsOf: file)
    // An element.
    data[data.count - 5000] ^= 1
    try data.write(to: file)
    let verified = try imsim("info", "m", "--verify")
    #expect(verified.code == 1 && verified.error.contains("000001.safetensors") && verified.error.contains("repair"))
    let query = try imsim("query", "m", Self.photos.appending(path: "moose.jpg").path, "-k", "18")
    #expect(query.code == 1 && query.error.contains("000001.safetensors"))
    try FileManager.default.removeItem(at: file)
    let info = try imsim("info", "m")
    #expect(info.code == 0 && info.output.contains("000001.safetensors is missing"))
    let index = try imsim("index", Self.photos.path, "--model", "m")
    #expect(index.code == 1 && index.error.contains("imsim repair"))
    let repaired = try objects(try imsim("repair", "m", "--json").output)
    #expect(repaired[0]["images"] as? Int == 0 && repaired[0]["images_lost"] as? Int == 18)
    let again = try objects(try imsim("index", Self.photos.path, "--model", "m", "--json").output)
    #expect(again[0]["indexed"] as? Int == 18)
  }

  @Test func recordsAndConditions() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    for (name, part) in [("cat-tabby", "cats"), ("moose", "deer"), ("bison", "deer")] {
      let part = folder.appending(path: "p/\(part)")
      try FileManager.default.createDirectory(at: part, withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        at: Self.photos.appending(path: "\(name).jpg"), to: part.appending(path: "\(name).jpg"))
    }
    let table = "id,year,note\r\ncats/cat-tabby.jpg,2019,\"a, \"\"b\"\"\"\r\ndeer/moose.jpg,2021,007\r\nnone.jpg,1,\r\n"
    try Data(table.utf8).write(to: folder.appending(path: "r.csv"))
    let indexed = try imsim("index", "p", "--model", "m", "--labels", "folder", "--records", "r.csv")
    #expect(indexed.code == 0)
    #expect(indexed.error == "imsim: 1 record of pictures that are not in the model: none.jpg\n")
    let cat = "cats/cat-tabby.jpg\tcats\t{\"note\":\"a, \\\"b\\\"\",\"year\":2019}\n"
    let (bison, moose) = ("deer/bison.jpg\tdeer\t\n", "deer/moose.jpg\tdeer\t{\"note\":\"007\",\"year\":2021}\n")
    #expect(try imsim("records", "m").output == cat + bison + moose)
    #expect(try imsim("records", "m", "--where", "label=deer and year>=2020").output == moose)
    let lines = try objects(try imsim("records", "m", "--where", "has(year)", "--json").output)
    #expect(lines.map { $0["id"] as? String } == ["cats/cat-tabby.jpg", "deer/moose.jpg"])

    let byID = try imsim("query", "m", "--id", "deer/moose.jpg", "--where", "label=cats", "--json").output
    #expect(try objects(byID).map { $0["reference"] as? String } == ["cats/cat-tabby.jpg"])
    #expect(
      try imsim("query", "m", "--id", "deer/moose.jpg", "--where", "label=x").output
        == "deer/moose.jpg\n  nothing that matches\n")
    let edges = try objects(try imsim("graph", "m", "--where", "label=deer", "--json").output)
    #expect(edges.map { $0["source"] as? String } == ["deer/bison.jpg", "deer/moose.jpg"])

    try Data("{\"id\":\"deer/bison.jpg\",\"label\":\"cow\",\"metadata\":{\"a\":{\"b\":[1]}}}\n\n".utf8)
      .write(to: folder.appending(path: "r.jsonl"))
    #expect(try imsim("records", "m", "--set", "r.jsonl").output == "set 1 record\n")
    #expect(
      try imsim("records", "m", "--where", "a.b=1").output == "deer/bison.jpg\tcow\t{\"a\":{\"b\":[1]}}\n")
    let removed = try imsim("remove", "m", "--where", "label!=cow")
    #expect(removed.code == 0 && removed.output == "removed 2 pictures, 1 left\n")

    try Data("{\"id\":\"a\"}\n{}\n".utf8).write(to: folder.appending(path: "bad.jsonl"))
    try Data("id,x\na\n".utf8).write(to: folder.appending(path: "bad.csv"))
    try Data("id\n\"a\n".utf8).write(to: folder.appending(path: "open.csv"))
    for (arguments, code, message) in [
      (["records", "m", "--where", "label="], 2, "expected a value at character 7"),
      (["remove", "m"], 2, "either ids or --where"),
      (["remove", "m", "a", "--where", "id=a"], 2, "either ids or --where"),
      (["query", "m"], 2, "--id"), (["query", "m", "--id", "none"], 1, "no picture 'none'"),
      (["records", "m", "--set", "bad.jsonl"], 1, "bad.jsonl, line 2"),
      (["records", "m", "--set", "bad.csv"], 1, "bad.csv, line 2: expected 2 fields, found 1"),
      (["records", "m", "--set", "open.csv"], 1, "open.csv, line 2: expected the end of a quoted field"),
      (["records", "m", "--set", "r.jsonl", "--json"], 2, "--set changes records"),
    ] as [([String], Int32, String)] {
      let (process, _, error) = try start(arguments)
      process.waitUntilExit()
      let text = try String(contentsOf: error, encoding: .utf8)
      #expect(process.terminationStatus == code && text.contains(message), "\(arguments): \(text)")
    }
  }

  @Test func embed() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let result = try imsim("embed", Self.photos.path, "--output", "f.npy")
    #expect(result.code == 0)
    #expect(try Data(contentsOf: folder.appending(path: "f.npy")).count >= 18 * 1280 * 4)
    let rows = try objects(String(contentsOf: folder.appending(path: "f.jsonl"), encoding: .utf8))
    #expect(rows.count == 18 && (rows[0]["path"] as? String)?.hasSuffix("arena-arles.jpg") == true)
  }

  @Test(arguments: [
    ["--threads", "3"], ["--backbone", "squeezenet-1.1", "--random-weights", "1", "--layer", "scores"],
  ])
  func bench(_ options: [String]) throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let (process, output, error) = try start(["bench", "--batch", "2", "--seconds", "0.2", "--json"] + options)
    process.waitUntilExit()
    #expect(try process.terminationStatus == 0 && Data(contentsOf: error).isEmpty)
    let report = try objects(String(contentsOf: output, encoding: .utf8))
    #expect(report.count == 1)
    #expect(
      Set(report[0].keys) == [
        "backbone", "precision", "layer", "batch", "threads", "images_per_second", "images_per_cpu_second", "spread",
        "preparation_seconds", "peak_memory_bytes", "kernels", "cpu",
      ])
    #expect(try #require(report[0]["images_per_second"] as? Double) > 0)
    #expect(report[0]["precision"] as? String == "fp32" && report[0]["batch"] as? Int == 2)
  }

  /// Writes seeded vectors as a NumPy array, and returns them.
  private func writeVectors(_ name: String, rows: Int, dimension: Int) throws -> [[Float]] {
    var state = UInt64(rows)
    let vectors = (0..<rows).map { _ in
      (0..<dimension).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Float(state >> 40) / Float(1 << 23) - 1
      }
    }
    try NumPyFile.write(EmbeddingMatrix(vectors), to: folder.appending(path: name))
    return vectors
  }

  /// The rows in an array that `bench-search` wrote, and its shape as its header says it.
  private func readHits(_ name: String, k: Int) throws -> (hits: [[Int64]], header: String) {
    let data = try Data(contentsOf: folder.appending(path: name))
    #expect(data.count >= 128 && data.starts(with: [0x93]))
    let values = stride(from: 128, to: data.count, by: 8).map { offset in
      Int64(bitPattern: (0..<8).reduce(0) { $0 | UInt64(data[offset + $1]) << UInt64(8 * $1) })
    }
    let hits = stride(from: 0, to: values.count, by: k).map { Array(values[$0..<$0 + k]) }
    return (hits, String(decoding: data[10..<128], as: UTF8.self))
  }

  @Test func benchSearch() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let vectors = try writeVectors("x.npy", rows: 120, dimension: 8)
    let queries = try writeVectors("q.npy", rows: 9, dimension: 8)
    func nearest(_ query: [Float], without row: Int? = nil) -> [Int64] {
      let products = vectors.map { zip($0, query).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
      return vectors.indices.filter { $0 != row }.sorted { products[$0] > products[$1] }.prefix(3).map { Int64($0) }
    }
    func run(_ mode: String, _ options: [String]) throws -> [[String: Any]] {
      let fixed = ["bench-search", "--vectors", "x.npy", "--k", "3", "--metric", "ip", "--ids", "h.npy", "--json"]
      let (process, output, error) = try start(fixed + ["--mode", mode] + options)
      process.waitUntilExit()
      #expect(try process.terminationStatus == 0 && Data(contentsOf: error).isEmpty)
      return try objects(String(contentsOf: output, encoding: .utf8))
    }

    let exact = try run("exact", ["--queries", "q.npy", "--batch", "4", "--threads", "2"])
    #expect(exact.count == 1)
    let keys: Set = [
      "mode", "metric", "storage", "vectors", "dimension", "queries", "k", "threads", "batch", "seconds",
      "batch_seconds", "batch_cpu_seconds", "queries_per_second", "build_seconds", "build_cpu_seconds", "recall_at_k",
      "kernels", "cpu",
    ]
    #expect(Set(exact[0].keys) == keys)
    #expect(exact[0]["queries"] as? Int == 9 && exact[0]["vectors"] as? Int == 120 && exact[0]["batch"] as? Int == 4)
    #expect(try #require(exact[0]["queries_per_second"] as? Double) > 0)
    let (hits, header) = try readHits("h.npy", k: 3)
    #expect(hits == queries.map { nearest($0) })
    #expect(header.contains("'<i8'") && header.contains("'shape': (9, 3)") && header.hasSuffix("\n"))

    let graph = try run("graph", ["--queries", "q.npy", "--ef", "3,120", "--storage", "int8", "--repeats", "1"])
    #expect(graph.map { $0["ef"] as? Int } == [3, 120])
    #expect(Set(graph[0].keys) == keys.union(["m", "ef", "ef_construction", "bytes_per_vector"]))
    let found = zip(try readHits("h.npy", k: 3).hits, hits).reduce(0) { $0 + Set($1.0).intersection($1.1).count }
    let recall = try #require(graph[1]["recall_at_k"] as? Double)
    #expect(abs(recall - Double(found) / 27) < 1e-9, "\(recall), \(found) of 27")
    #expect(found >= 20)

    _ = try run("neighbors", ["--repeats", "1"])
    #expect(try readHits("h.npy", k: 3).hits == vectors.indices.map { nearest(vectors[$0], without: $0) })

    _ = try writeVectors("two.npy", rows: 2, dimension: 8)
    let few = try imsim(
      "bench-search", "--vectors", "two.npy", "--queries", "q.npy", "--mode", "exact", "--ids", "h.npy")
    #expect(few.code == 0 && few.output.contains("queries/s"))
    #expect(try readHits("h.npy", k: 10).hits.allSatisfy { $0.count { $0 == -1 } == 8 })
  }

  @Test func benchSearchExplainsBadInput() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    _ = try writeVectors("x.npy", rows: 4, dimension: 8)
    _ = try writeVectors("wide.npy", rows: 4, dimension: 9)
    try Data("text".utf8).write(to: folder.appending(path: "text.npy"))
    for (options, code, message) in [
      (["x.npy", "--mode", "exact"], 2, "--mode exact needs --queries"),
      (["x.npy", "--mode", "neighbors", "--queries", "x.npy"], 2, "every vector is a query"),
      (["x.npy", "--queries", "x.npy", "--mode", "exact", "--k", "0"], 2, "from 1 to 65536; found 0"),
      (["x.npy", "--queries", "x.npy", "--mode", "exact", "--storage", "int8"], 2, "--storage int8"),
      (["x.npy", "--queries", "x.npy", "--mode", "graph", "--ef", "10,,20"], 2, "--ef"),
      (["x.npy", "--queries", "x.npy", "--mode", "graph", "--m", "1"], 2, "from 2 to 512"),
      (["x.npy", "--queries", "wide.npy", "--mode", "exact"], 1, "expected rows of 8 elements in wide.npy"),
      (["x.npy", "--queries", "none.npy", "--mode", "exact"], 1, "none.npy"),
      (["text.npy", "--queries", "x.npy", "--mode", "exact"], 1, "text.npy"),
    ] as [([String], Int32, String)] {
      let (process, _, error) = try start(["bench-search", "--vectors"] + options)
      process.waitUntilExit()
      let text = try String(contentsOf: error, encoding: .utf8)
      #expect(process.terminationStatus == code && text.contains(message), "\(options): \(text)")
    }
  }

  @Test func badInputIsExplained() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder.appending(path: "empty"), withIntermediateDirectories: true)
    try FileManager.default.createDirectory(at: folder.appending(path: "bad"), withIntermediateDirectories: true)
    try Data("text".utf8).write(to: folder.appending(path: "bad/text.jpg"))
    try Data("garbage".utf8).write(to: folder.appending(path: "w.pth"))
    for (arguments, code, message) in [
      (["index", "empty", "--model", "m"], 1, "holds no files"),
      (["index", "none", "--model", "m"], 1, "no file or folder none"),
      (["index", "bad", "--model", "n"], 1, "none of the 1 file is a picture"),
      (["index", "bad", "--model", "m", "--backbone", "resnet-50"], 1, "--weights"),
      (["index", "bad", "--model", "m", "--backbone", "vgg"], 1, "no backbone named 'vgg'"),
      (["index", "bad", "--model", "m", "--weights", "w.pth"], 1, "w.pth"),
      (["index", "bad"], 2, "--model"), (["query", "m", "x.jpg"], 1, "no model at"),
      (["query", "m", "x.jpg", "-k", "0"], 2, "at least 1"), (["query", "m", "x.jpg", "--radius", "-1"], 2, "radius"),
      (["index", "bad", "--model", "m", "--precision", "fp16"], 2, "bf16"),
      (
        ["index", "bad", "--model", "m", "--precision", "int8", "--calibration", "w.pth"], 1, "w.pth is no calibration"
      ),
      (["index", "bad", "--model", "m", "--precision", "int8", "--backbone", "resnet-50"], 1, "--weights"),
      (["calibrate", "bad", "-o", "m"], 1, "none of 1 pictures"), (["calibrate", "empty", "-o", "m"], 1, "no files"),
      (["calibrate", "bad", "-o", "m", "--pictures", "0"], 2, "from 1 to 4096"),
      (["bench", "--backbone", "resnet-50"], 1, "--random-weights"),
      (["bench", "--weights", "w.pth", "--random-weights", "1"], 2, "exclude each other"),
      (["bench", "--batch", "0"], 2, "from 1 to 4096"), (["bench", "--seconds", "-1"], 2, "seconds"),
      (["nonsense"], 2, "nonsense"), (["index", "bad", "--model", "m", "--resize", "stretch"], 2, "squash"),
    ] as [([String], Int32, String)] {
      let (process, _, error) = try start(arguments)
      process.waitUntilExit()
      let text = try String(contentsOf: error, encoding: .utf8)
      #expect(process.terminationStatus == code, "\(arguments): \(text)")
      #expect(text.contains(message), "\(arguments): \(text)")
      #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "m").path), "\(arguments) made a model")
    }
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "n/segments").path)
    let name = try #require(files.first { $0.hasSuffix(".skipped.jsonl") })
    let skipped = try String(contentsOf: folder.appending(path: "n/segments/\(name)"), encoding: .utf8)
    #expect(try objects(skipped).map { $0["id"] as? String } == ["text.jpg"])
  }

  /// Many copies of the photographs, so that there is time to stop in the middle.
  private func manyPhotos() throws -> String {
    let many = folder.appending(path: "many")
    for i in 0..<60 {
      let part = many.appending(path: "\(i)")
      try FileManager.default.createDirectory(at: part, withIntermediateDirectories: true)
      for name in try FileManager.default.contentsOfDirectory(atPath: Self.photos.path) {
        try FileManager.default.createSymbolicLink(
          at: part.appending(path: name), withDestinationURL: Self.photos.appending(path: name))
      }
    }
    return many.path
  }

  @Test func interruptKeepsWhatIsDone() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let many = try manyPhotos()
    let (process, _, error) = try start(["index", many, "--model", "m"])
    Thread.sleep(forTimeInterval: 1.5)
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    #expect(try String(contentsOf: error, encoding: .utf8).contains("interrupted"))
    let info = try objects(try imsim("info", "m", "--json", "--verify").output)
    let kept = try #require(info[0]["images"] as? Int)
    #expect(kept > 0)
    let resumed = try objects(try imsim("index", many, "--model", "m", "--json").output)
    #expect(resumed[0]["unchanged"] as? Int == kept && resumed[0]["indexed"] as? Int == 1080 - kept)
  }

  @Test func killedModelOpensAndGoesOn() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m").code == 0)
    let many = try manyPhotos()
    for delay in [0.02, 0.05, 0.1, 0.3] {
      let (process, _, _) = try start(["index", many, "--model", "m"])
      Thread.sleep(forTimeInterval: delay)
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      let info = try objects(try imsim("info", "m", "--json", "--verify").output)
      #expect((info.first?["images"] as? Int ?? 0) >= 18)
    }
    #expect(try imsim("query", "m", Self.photos.appending(path: "moose.jpg").path).code == 0)
  }

  @Test func exportAndImport() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m").code == 0)
    for name in ["x.npy", "x.safetensors", "x.faiss"] {
      let exported = try imsim("export", "m", name, "--json")
      let summary = try objects(exported.output)
      #expect(exported.code == 0 && exported.error.isEmpty)
      #expect(Set(summary[0].keys) == ["images", "dimension", "output", "records"])
      #expect(summary[0]["images"] as? Int == 18 && summary[0]["dimension"] as? Int == 1280)

      let imported = try imsim("import", "\(name).imsim", name, "--records", "x.jsonl", "--extractor", "mine", "--json")
      let report = try objects(imported.output)
      #expect(imported.code == 0 && imported.error.isEmpty)
      #expect(Set(report[0].keys) == ["imported", "images", "dimension", "metric", "extractor"])
      #expect(report[0]["images"] as? Int == 18 && report[0]["extractor"] as? String == "mine")
      #expect(report[0]["metric"] as? String == (name == "x.faiss" ? "inner-product" : "cosine"))
      let hits = try objects(try imsim("query", "\(name).imsim", "--id", "moose.jpg", "-k", "3", "--json").output)
      let original = try objects(try imsim("query", "m", "--id", "moose.jpg", "-k", "3", "--json").output)
      #expect(hits.count == 3)
      #expect(hits.map { $0["reference"] as? String } == original.map { $0["reference"] as? String })
    }
    let picture = try imsim("query", "x.npy.imsim", Self.photos.appending(path: "moose.jpg").path)
    #expect(picture.code == 1 && picture.error.contains("search it by id or by vector"))
    let again = try imsim("import", "x.npy.imsim", "x.npy", "--metric", "cosine")
    #expect(again.code == 1 && again.error.contains("leave out --metric"))
    let extra = try imsim("import", "new", "x.npy", "--records", "x.npy")
    #expect(extra.code == 1 && extra.error.contains("expected 18, one an embedding"))
    #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "new").path))
    #expect(try imsim("export", "m", "x.txt").code == 2)
    #expect(try imsim("export", "nothing", "x.npy").code == 1)
  }

  @Test func exportCoreML() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m").code == 0)
    for arguments in [["x.mlmodel"], ["--coreml", "x.mlmodel", "--coreml-weights", "int8", "--coreml-author", "me"]] {
      let exported = try imsim(["export", "m", "--json"] + arguments)
      let summary = try objects(exported.output)
      #expect(exported.code == 0 && exported.error.isEmpty)
      #expect(Set(summary[0].keys) == ["images", "dimension", "output", "bytes"])
      let file = try Data(contentsOf: folder.appending(path: "x.mlmodel"))
      #expect(summary[0]["bytes"] as? Int == file.count && summary[0]["images"] as? Int == 18)
    }
    let features = try imsim("export", "m", "y.mlmodel", "--features-only")
    #expect(features.code == 0 && features.output.contains("y.safetensors") && features.output.contains("y.jsonl"))
    #expect(FileManager.default.fileExists(atPath: folder.appending(path: "y.jsonl").path))
    for mistake in [
      ["x.npy", "--features-only"], ["x.npy", "--coreml", "x.mlmodel"], ["--coreml", "x.npy"], [],
      ["--coreml", "x.mlmodel", "--coreml-weights", "int4"],
    ] {
      #expect(try imsim(["export", "m"] + mistake).code == 2)
    }
  }

  /// A model's network goes out as an ONNX file, and comes in as anybody's: it finds the same pictures.
  @Test func networksAreONNXFiles() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m").code == 0)
    let exported = try imsim("export", "m", "net.onnx", "--json")
    let summary = try objects(exported.output)
    #expect(exported.code == 0 && exported.error.isEmpty && Set(summary[0].keys) == ["dimension", "output", "bytes"])

    let indexed = try imsim("index", Self.photos.path, "--model", "o", "--backbone", "net.onnx")
    #expect(indexed.code == 0 && indexed.error.contains("the embedding is 'embedding'"), "\(indexed.error)")
    let moose = Self.photos.appending(path: "moose.jpg").path
    func hits(_ model: String, _ options: [String] = []) throws -> [String?] {
      try objects(try imsim(["query", model, moose, "-k", "5", "--json"] + options).output).map {
        $0["reference"] as? String
      }
    }
    #expect(try hits("o") == hits("m") && hits("o").count == 5)
    // Adding and asking need no options: the model knows the file, as long as it is there.
    #expect(
      try objects(try imsim("index", Self.photos.path, "--model", "o", "--json").output)[0]["unchanged"] as? Int == 18)
    try FileManager.default.moveItem(
      at: folder.appending(path: "net.onnx"), to: folder.appending(path: "moved.onnx"))
    let gone = try imsim("query", "o", moose)
    #expect(gone.code == 1 && gone.error.contains("net.onnx"))
    #expect(try hits("o", ["--weights", "moved.onnx"]) == hits("m"))

    #expect(try imsim("export", "m", "small.onnx", "--onnx-weights", "float16", "--normalize").code == 0)
    let other = try imsim("query", "o", moose, "--weights", "small.onnx")
    #expect(other.code == 1 && other.error.contains("cannot be compared"))
    #expect(try imsim("embed", Self.photos.path, "-o", "x.npy", "--backbone", "small.onnx").code == 0)
    #expect(try imsim("bench", "--backbone", "moved.onnx", "--seconds", "0.1", "--batch", "2", "--json").code == 0)

    try Data("text".utf8).write(to: folder.appending(path: "text.onnx"))
    for (arguments, code, message) in [
      (["index", Self.photos.path, "--model", "p", "--backbone", "text.onnx"], 1, "text.onnx"),
      (["index", Self.photos.path, "--model", "p", "--backbone", "none.onnx"], 1, "none.onnx"),
      (["index", Self.photos.path, "--model", "p", "--backbone", "moved.onnx", "--output-tensor", "x"], 1, "'x'"),
      (
        ["index", Self.photos.path, "--model", "p", "--backbone", "moved.onnx", "--weights", "w"], 2, "its own weights"
      ),
      (["index", Self.photos.path, "--model", "p", "--output-tensor", "x"], 2, "ONNX file"),
      (["index", Self.photos.path, "--model", "p", "--backbone", "moved.onnx", "--input-size", "9"], 2, "224x224"),
      (["export", "m", "x.npy", "--normalize"], 2, ".onnx files"),
    ] as [([String], Int32, String)] {
      let result = try imsim(arguments)
      #expect(result.code == code && result.error.contains(message), "\(arguments): \(result.error)")
      #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "p").path))
    }
  }

  /// A download is cut and goes on, and is the backbone's weights from then on.
  @Test func weightsArePulled() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let weights = try SqueezeNet(.version1x1).randomWeights(seed: 5)
    let bytes = weights.file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }
    let server = try MisbehavingServer { request in
      let head = "ETag: \"a\"\r\nContent-Length: \(bytes.count - (request.start ?? 0))\r\n"
      guard let start = request.start else {
        // Half of it, and then nothing.
        return [
          .send(Data("HTTP/1.1 200 OK\r\n\(head)\r\n".utf8)), .send(bytes.prefix(bytes.count / 2)),
          .wait(milliseconds: 60_000),
        ]
      }
      let range = "Content-Range: bytes \(start)-\(bytes.count - 1)/\(bytes.count)\r\n"
      return [.send(Data("HTTP/1.1 206 Partial Content\r\n\(range)\(head)\r\n".utf8)), .send(bytes.dropFirst(start))]
    }
    let pull = [
      "weights", "pull", "squeezenet-1.1", "--from", "\(server.address)/w.safetensors", "--sha256", weights.digest,
    ]
    let (process, _, error) = try start(pull)
    // The file beside it, which names the version, is written before the first byte arrives.
    func received() throws -> Data? {
      try contents(of: "weights").first { $0.pathExtension == "part" }.flatMap { try? Data(contentsOf: $0) }
    }
    while process.isRunning, try received()?.isEmpty ?? true { Thread.sleep(forTimeInterval: 0.02) }
    process.interrupt()
    process.waitUntilExit()
    #expect(process.terminationStatus == 130)
    #expect(try String(contentsOf: error, encoding: .utf8).contains("interrupted"))
    let list = try objects(try imsim("weights", "list", "--json").output)
    #expect(list.first { $0["backbone"] as? String == "squeezenet-1.1" }?["state"] as? String == "missing")

    let pulled = try imsim(pull + ["--json"])
    #expect(pulled.code == 0, "\(pulled.error)")
    #expect(server.requests.count == 2 && (server.requests.last?.start ?? 0) > 0)
    let path = try imsim("weights", "path", "squeezenet-1.1")
    let file = URL(fileURLWithPath: path.output.trimmingCharacters(in: .newlines))
    #expect(try Data(contentsOf: file) == bytes)

    for command in [
      ["index", Self.photos.path, "--model", "m"], ["embed", Self.photos.path, "-o", "x.npy"],
      ["bench", "--seconds", "0.1", "--batch", "2"], ["calibrate", Self.photos.path, "-o", "c.json"],
    ] {
      let result = try imsim(command + ["--backbone", "squeezenet-1.1"])
      #expect(result.code == 0, "\(command): \(result.error)")
    }
    #expect(try imsim("query", "m", Self.photos.appending(path: "moose.jpg").path).code == 0)

    #expect(try imsim("weights", "remove", "squeezenet-1.1").code == 0)
    let missing = try imsim("embed", Self.photos.path, "-o", "y.npy", "--backbone", "squeezenet-1.1")
    #expect(missing.code == 1 && missing.error.contains("imsim weights pull squeezenet-1.1"))
  }

  private func contents(of name: String) throws -> [URL] {
    (try? FileManager.default.contentsOfDirectory(at: folder.appending(path: name), includingPropertiesForKeys: nil))
      ?? []
  }

  @Test func weightsAreAddedFromFiles() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    let weights = try SqueezeNet(.version1x0).randomWeights(seed: 2)
    try weights.file.withBytes { unsafe $0.withUnsafeBytes { unsafe Data($0) } }.write(
      to: folder.appending(path: "mine.safetensors"))
    try Data("text".utf8).write(to: folder.appending(path: "text.pth"))
    #expect(try imsim("weights", "add", "mine.safetensors", "--name", "squeezenet-1.0").code == 0)
    #expect(try imsim("bench", "--backbone", "squeezenet-1.0", "--seconds", "0.1", "--batch", "1").code == 0)
    for (arguments, code, message) in [
      (["weights", "add", "text.pth"], 1, "text.pth"), (["weights", "add", "none.pth"], 1, "none.pth"),
      (["weights", "add", "mine.safetensors", "--name", "resnet-50"], 1, "resnet-50"),
      (["weights", "add", "mine.safetensors", "--name", "vgg"], 1, "vgg"),
      (["weights", "pull", "efficientnet-lite0"], 1, "efficientnet-lite0"), (["weights", "pull"], 2, "imsim weights"),
      (["weights", "pull", "squeezenet-1.1", "--from", "http://127.0.0.1:1/w.pth"], 1, "127.0.0.1"),
      (["weights", "pull", "squeezenet-1.1", "--from", "text.pth"], 1, "text.pth"),
    ] as [([String], Int32, String)] {
      let result = try imsim(arguments)
      #expect(result.code == code && result.error.contains(message), "\(arguments): \(result.code) \(result.error)")
    }
  }

  @Test func thresholds() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(try imsim("index", Self.photos.path, "--model", "m").code == 0)
    // All pictures lie in one folder, so there are no two kinds of things.
    let learned = try imsim("thresholds", "m", "--precision", "0.5", "--json")
    #expect(learned.code == 0 && learned.error.contains("the same kind of thing: there is nothing to learn from"))
    let same = try #require(try objects(learned.output).first?["same_picture"] as? [String: Any])
    #expect(same["source"] as? String == "edited-copies" && same["positives"] as? Int == 54)
    let rows = try #require(same["thresholds"] as? [[String: Any]])
    #expect(rows.map { $0["wanted"] as? Double } == [0.5, 0.9, 0.95, 0.99, 0.999])
    #expect((rows[0]["distance"] as? Double ?? 0) >= (rows[1]["distance"] as? Double ?? 9))
    let quality = try #require(same["quality"] as? [String: Any])
    #expect(quality["expected_calibration_error"] as? Double ?? 1 < 0.1)

    let pairs = "arena-arles.jpg,arena-rome.jpg,1\ncoffee.jpg,moose.jpg,0\nbison.jpg,rocket.jpg,0\n"
    try Data(pairs.utf8).write(to: folder.appending(path: "pairs.csv"))
    let judged = try imsim("thresholds", "m", "--pairs", "pairs.csv", "--kind-pairs", "pairs.csv")
    #expect(judged.code == 0, "\(judged.error)")
    for text in ["the same picture", "the same kind of thing", "0.999", "expected calibration error", "(pairs)"] {
      #expect(judged.output.contains(text))
    }
    for (arguments, code, message) in [
      (["m", "--pairs", "none.csv"], 1, "none.csv"), (["m", "--precision", "1.5"], 2, "--precision"),
      (["m", "--confidence", "0.2"], 2, "--confidence"), (["m", "--base-rate", "0.1"], 2, "--base-rate"),
      (["none.imsim"], 1, "none.imsim"),
    ] as [([String], Int32, String)] {
      let result = try imsim(["thresholds"] + arguments)
      #expect(result.code == code && result.error.contains(message), "\(arguments): \(result.code) \(result.error)")
    }
  }

  @Test func helpHasExamples() throws {
    defer { try? FileManager.default.removeItem(at: folder) }
    for command in [
      "index", "query", "graph", "embed", "evaluate", "remove", "records", "info", "calibrate", "backbones", "bench",
      "bench-search", "doctor", "demo", "repair", "upgrade", "export", "import",
      "thresholds",
    ] {
      let help = try imsim(command, "--help")
      #expect(help.code == 0 && help.output.contains("imsim \(command)") && help.output.contains("Example"))
    }
    #expect(try imsim("--version").output == "0.1.0\n")
  }
}
