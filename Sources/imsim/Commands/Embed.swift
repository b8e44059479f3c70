internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Embed: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes the embeddings of pictures as a NumPy array.",
    discussion: """
      The array is float32, [pictures, dimension]; beside it, a .jsonl file gives each row's path. Rows are in the order of \
      the arguments, and within a folder in the order of the paths. Files that are no readable pictures have no row.

      Examples:
        imsim embed photos -o features.npy
        imsim embed a.jpg b.jpg -o scores.npy --weights efficientnet-lite0.pth --layer scores
      """)

  @Argument(help: ArgumentHelp("Files, or folders, which are searched to the bottom.", valueName: "image or folder"))
  var paths: [String]

  @Option(name: [.short, .long], help: ArgumentHelp("The array to write.", valueName: "features.npy"))
  var output: String

  @OptionGroup var extractor: ExtractorOptions
  @OptionGroup var workers: ThreadOptions

  @Option(help: "What to write: the pooled embedding or the class scores.")
  var layer = EmbeddingLayer.pooled

  func run() async throws {
    let collection = try ImageCollection.arguments(paths)
    let line = ProgressLine()
    let (report, dimension) = try await interruptible { [self] in
      let extractor = try await extractor.makeExtractor(layer: layer, calibratingOn: collection)
      let embedder = ImageEmbedder(decoder: VipsImageDecoder(), extractor: extractor, threads: workers.threads)
      defer { line.clear() }
      let report = try await embedder.write(collection, to: URL(argument: output)) { line.show($0) }
      return (report, extractor.dimension)
    }
    for image in report.skipped { warn("skipped \(image.id): \(image.reason)") }
    say("\(output): \(report.indexed) x \(dimension), \(report.skipped.count.counted("file")) skipped")
    if report.indexed == 0 { throw ExitCode(1) }
  }
}
