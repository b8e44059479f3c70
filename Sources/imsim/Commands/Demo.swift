internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows the main job on photographs that come with imsim.",
    discussion: """
      Writes the photographs and edited copies of some of them (cropped, mirrored, recompressed, darker) to a folder, makes a \
      model of them, and asks which pictures look like each other.

      Example:
        imsim demo --output my-demo
      """)

  @Option(help: ArgumentHelp("Where to write.", valueName: "dir"))
  var output = "imsim-demo"

  /// The photographs that are edited, and then asked for.
  private static let edited = ["cat-tabby.jpg", "castle-chambord.jpg", "panda-red.jpg"]
  private static let edits: [(name: String, edit: ImageEdit)] = [
    ("cropped", .crop(0.7)), ("mirrored", .mirror), ("recompressed", .recompress(quality: 20)),
    ("darker", .brightness(0.6)),
  ]

  func run() async throws {
    let folder = URL(argument: output)
    let photos = folder.appending(path: "photos")
    try writePhotos(to: photos)

    let modelURL = folder.appending(path: "demo.imsim")
    let line = ProgressLine()
    let model = try await interruptible {
      defer { line.clear() }
      let model =
        SimilarityModel.exists(at: modelURL)
        ? try await SimilarityModel.open(at: modelURL) : try await SimilarityModel.create(at: modelURL)
      let report = try await model.add(from: .folder(photos)) { line.show($0) }
      say(
        "indexed \(report.indexed), unchanged \(report.unchanged) in \(report.seconds.formatted(digits: 2)) s: \(output)"
      )
      return model
    }

    var queries: [(source: ImageSource, name: String, hits: [Hit])] = []
    for name in Self.edited + ["giraffe-head.jpg", "pyramid-giza.jpg"] {
      let url = photos.appending(path: name)
      let hits = try await model.query(.file(url), k: 6)
      say("\n\(name)")
      for hit in hits { say("  \(hit.rank)  \(hit.distance.formatted(digits: 4))  \(hit.id)") }
      queries.append((.file(url), name, hits))
    }
    let sheet = folder.appending(path: "sheet.jpg")
    try ContactSheet(queries: queries).write(to: sheet)
    say(
      "\nLook at \(output)/sheet.jpg, or ask yourself:\n  imsim query \(output)/demo.imsim \(output)/photos/moose.jpg")
  }

  /// Files that are there already stay, so that a second run finds them unchanged.
  private func writePhotos(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    func write(_ data: Data, _ name: String) throws {
      let url = folder.appending(path: name)
      if !FileManager.default.fileExists(atPath: url.path) { try data.write(to: url, options: .atomic) }
    }
    for (name, photo) in DemoPhotos.all {
      try write(photo, name)
      guard Self.edited.contains(name) else { continue }
      let image = try VipsImageDecoder().decode(.data(photo), maximumSide: 640)
      for edit in Self.edits { try write(edit.edit.jpeg(of: image), "\(name.dropLast(4))-\(edit.name).jpg") }
    }
  }
}
