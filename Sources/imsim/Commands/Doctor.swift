internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Says what this machine and installation can do, and tries the main job once.",
    discussion: """
      Example:
        imsim doctor
      """)

  func run() async throws {
    say("imsim          \(Version.current)")
    say("processors     \(ProcessSettings.processorCount)")
    say("processor      \(Processor.current.model)")
    say("kernels        \(NetworkExtractor.instructionSet) (IMSIM_ISA lowers it)")
    say("faster         \(NetworkExtractor.fasterPrecisions.map(\.rawValue).joined(separator: ", ")) than fp32")
    say("blas           \(BLASSettings.version), core \(BLASSettings.core)")
    say("libvips        \(try VipsSettings.version)")

    let clock = ContinuousClock()
    let start = clock.now
    let extractor = try NetworkExtractor.bundled()
    let prepared = clock.now
    let picture = RGBImage(
      size: PixelSize(width: 640, height: 480), pixels: (0..<640 * 480 * 3).map { UInt8(truncatingIfNeeded: $0 / 7) })
    let embedder = ImageEmbedder(decoder: VipsImageDecoder(), extractor: extractor)
    let encoded = try picture.jpegData()
    _ = try await embedder.embed(.data(encoded))
    let warm = clock.now
    let embedding = try await embedder.embed(.data(encoded))
    let done = clock.now
    say("network        \(extractor.specification.fingerprint)")
    say("prepared in    \((start.duration(to: prepared) / .milliseconds(1)).formatted(digits: 0)) ms")
    say("one picture    \((warm.duration(to: done) / .milliseconds(1)).formatted(digits: 1)) ms, one thread")
    guard embedding.allSatisfy(\.isFinite), embedding.contains(where: { $0 != 0 }) else {
      throw SimilarityError(.notFinite, "the network gives no sensible embedding on this machine")
    }
    say("everything works")
  }
}
