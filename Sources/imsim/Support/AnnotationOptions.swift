internal import ArgumentParser
internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Labels and metadata from a file.
struct AnnotationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Labels and metadata: JSON Lines of {\"id\" or \"path\", \"label\", \"metadata\"}, or CSV with a header (id or path, label, "
        + "and columns that become metadata).", valueName: "file"))
  var records: String?

  func read() throws -> [ImageAnnotation] {
    try records.map { try ImageAnnotation.read(contentsOf: URL(argument: $0)) } ?? []
  }
}

extension AnnotationReport {
  func warnOfUnknown() {
    guard !unknown.isEmpty else { return }
    let examples = unknown.prefix(3).joined(separator: ", ") + (unknown.count > 3 ? ", ..." : "")
    warn("\(unknown.count.counted("record")) of pictures that are not in the model: \(examples)")
  }
}
