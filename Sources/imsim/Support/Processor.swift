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

  static let current = Processor(cpuInfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")

  init(cpuInfo: String) {
    func value(_ field: String) -> Substring? {
      cpuInfo.split(separator: "\n").first { $0.hasPrefix(field) }?.split(separator: ":", maxSplits: 1).dropFirst()
        .first
    }
    model = value("model name").map { String($0.drop { $0 == " " }) } ?? "unknown"
  }
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
