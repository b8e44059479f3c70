#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Glibc
#endif

/// What Linux says of the processor.
struct Processor {
  /// For example `AMD EPYC 9B45`; `unknown` where nothing says it.
  let model: String
  /// The features that Linux lists, for example `avx512_bf16`.
  private let flags: Set<Substring>

  static let current = Processor(cpuInfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")

  init(cpuInfo: String) {
    func value(_ field: String) -> Substring? {
      cpuInfo.split(separator: "\n").first { $0.hasPrefix(field) }?.split(separator: ":", maxSplits: 1).dropFirst()
        .first
    }
    model = value("model name").map { String($0.drop { $0 == " " }) } ?? "unknown"
    flags = Set((value("flags") ?? "").split(separator: " "))
  }

  /// Whether it multiplies bfloat16 numbers.
  var hasBF16: Bool { flags.contains("avx512_bf16") }

  /// Whether it multiplies and sums bytes (VNNI).
  var hasInt8: Bool { flags.contains("avx512_vnni") || flags.contains("avx_vnni") }
}

/// The most memory that this process had at any time.
func peakMemoryBytes() -> Int {
  var usage = rusage()
  #if canImport(Glibc)
    let process = __rusage_who_t(RUSAGE_SELF.rawValue)
  #else
    let process = RUSAGE_SELF
  #endif
  guard unsafe getrusage(process, &usage) == 0 else { return 0 }
  #if canImport(Darwin)
    return usage.ru_maxrss
  #else
    // Linux counts in KiB.
    return usage.ru_maxrss * 1024
  #endif
}
