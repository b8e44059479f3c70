internal import ImageSimilarityKit

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Prints a line to standard output.
func say(_ text: String) { Terminal.standardOutput.write(text + "\n") }

/// Prints a line to standard error.
func warn(_ text: String) { Terminal.standardError.write("imsim: " + text + "\n") }

/// Prints `value` as one line of JSON.
func sayJSON(_ value: some Encodable) throws {
  say(try jsonLine(value))
}

func jsonLine(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self)
}

extension BinaryFloatingPoint {
  /// In decimal with a fixed number of digits after the point.
  func formatted(digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let value = Double(self)
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    let scaled = Int((abs(value) * scale).rounded())
    let fraction = String(scaled % Int(scale))
    let sign = value < 0 && scaled > 0 ? "-" : ""
    let whole = "\(sign)\(scaled / Int(scale))"
    return digits == 0 ? whole : "\(whole).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }
}

extension Int {
  /// `1 image`, `2 images`.
  func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
