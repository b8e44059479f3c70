internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Locate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Finds the pictures that a crop comes from, and where it lies in them.",
    discussion: """
      A crop of a tenth of the picture or more is found, also scaled or compressed anew; its shape must be as it was cut. The
      pictures' files are read again, so they must be where they were.

      A region is the left and top edge, the width and the height, in pixels of the picture. The similarity is at most 1.

      Examples:
        imsim locate photos.imsim face.jpg
        imsim locate photos.imsim crops/*.jpg -k 1 --json
        imsim locate photos.imsim face.jpg --sheet where.jpg
      """)

  @Argument(help: "A model, made by 'imsim index'.")
  var model: String

  @Argument(help: ArgumentHelp("Picture files, each a part of a picture.", valueName: "crop"))
  var crops: [String]

  @Option(name: .short, help: ArgumentHelp("At most so many hits. Default: 5.", valueName: "k"))
  var k = 5

  @Option(help: ArgumentHelp("Pictures whose regions are looked at, the nearest ones. Default: 400.", valueName: "n"))
  var shortlist = LocateOptions().shortlist

  @Flag(help: "Print a JSON object per hit: query, rank, reference, similarity, region, size.")
  var json = false

  @Option(
    help: ArgumentHelp("Also draw the crops, and the hits with their regions, as one JPEG.", valueName: "out.jpg"))
  var sheet: String?

  private struct Line: Encodable {
    var query: String
    var rank: Int
    var reference: String
    var similarity: Float
    var region: PixelRegion
    var size: PixelSize
  }

  func validate() throws {
    if crops.isEmpty { throw ValidationError("Give a picture file") }
    if k < 1 { throw ValidationError("-k is the number of hits wanted, at least 1; found \(k)") }
    if shortlist < 1 { throw ValidationError("--shortlist is a number of pictures, at least 1; found \(shortlist)") }
  }

  func run() async throws {
    let model = try await SimilarityModel.open(at: URL(argument: model), options: .commandLine)
    if model.count == 0 { warn("\(self.model) holds no pictures") }
    let options = options
    var rows: [(crop: ImageSource, name: String, hits: [RegionHit])] = []
    var failed = 0
    for name in crops {
      let crop = ImageSource.file(URL(argument: name))
      do {
        let hits = try await interruptible { try await model.locate(crop: crop, k: k, options: options) }
        try show(name, hits)
        if sheet != nil { rows.append((crop, name, hits)) }
      } catch let error as SimilarityError where error.code.isAboutImage {
        warn("\(name): \(error.message)")
        failed += 1
      }
    }
    if let sheet, !rows.isEmpty { try ContactSheet(crops: rows).write(to: URL(argument: sheet)) }
    if failed > 0 { throw ExitCode(1) }
  }

  private var options: LocateOptions {
    var options = LocateOptions()
    options.shortlist = shortlist
    options.finalists = min(options.finalists, shortlist)
    return options
  }

  private func show(_ crop: String, _ hits: [RegionHit]) throws {
    if json {
      for hit in hits {
        try sayJSON(
          Line(
            query: crop, rank: hit.rank, reference: hit.id, similarity: hit.similarity, region: hit.region,
            size: hit.size))
      }
      return
    }
    say(crop)
    for hit in hits {
      let rank = String(hit.rank)
      let padding = String(repeating: " ", count: max(0, 4 - rank.count))
      let region = hit.region
      say(
        "\(padding)\(rank)  \(hit.similarity.formatted(digits: 4))  \(hit.id)  "
          + "\(region.width)x\(region.height) at (\(region.x), \(region.y)) of \(hit.size)")
    }
  }
}
