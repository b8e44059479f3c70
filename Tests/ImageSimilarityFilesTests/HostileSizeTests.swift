import Foundation
import ImageSimilarityCore
import ImageSimilarityFiles
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#else
  import Glibc
#endif

#if os(Linux)
  /// Headers that claim more than their files hold: nothing is allocated for what is not there.
  ///
  /// Each runs in a process of its own, whose memory may grow by a constant and no more: a larger allocation ends it.
  @Suite struct HostileSizeTests {
    /// Twice what the small files below have ever been seen to take, for the reader, its errors and the allocator's arenas.
    private static let allowance = 16 << 20

    @Test func aLargerAllocationEndsTheProcess() async {
      await #expect(processExitsWith: .failure) {
        HostileSizeTests.read(Data())
        let large = [UInt8](repeating: 1, count: 2 * HostileSizeTests.allowance)
        exit(large.last == 1 ? 0 : 1)
      }
    }

    @Test func safetensors() async {
      await #expect(processExitsWith: .success) {
        let most = Int.max
        for (header, tail) in [
          ("", 0), ("{\"a\":{\"dtype\":\"F32\",\"shape\":[1099511627776],\"data_offsets\":[0,8]}}", 8),
          ("{\"a\":{\"dtype\":\"F32\",\"shape\":[\(most)],\"data_offsets\":[0,\(most)]}}", 8),
          ("{\"a\":{\"dtype\":\"F16\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0),
          ("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,\(most)],\"data_offsets\":[0,0]}}", 0),
          ("{\"a\":{\"dtype\":\"X9\",\"shape\":[\(most)],\"data_offsets\":[0,8]}}", 8),
          (
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(repeatElement("1,", count: 50000).joined())1],\"data_offsets\":[0,4]}}",
            4
          ),
          (String(repeating: "{\"a\":", count: 50000), 0), (String(repeating: "[", count: 100_000), 0),
        ] {
          HostileSizeTests.read(bytes(UInt64(header.utf8.count)) + Data(header.utf8) + Data(count: tail))
        }
        for length in [UInt64.max, 1 << 63, 1 << 40, 100_000_000] {
          HostileSizeTests.read(bytes(length) + Data("{\"a\":{}}".utf8))
        }
      }
    }

    @Test func pyTorch() async {
      await #expect(processExitsWith: .success) {
        let magic: [UInt8] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]
        let start = Data(magic) + Data([0x80, 2, 0x4d, 0xe9, 3, 0x2e, 0x80, 2, 0x7d, 0x2e, 0x80, 2])
        for instructions: [UInt8] in [
          [0x8d] + [UInt8](repeating: 0x7f, count: 8),  // a string of 2^63 bytes
          [0x8e, 0, 0, 0, 0, 0, 1, 0, 0], [0x58, 0xff, 0xff, 0xff, 0xff], [0x42, 0xff, 0xff, 0xff, 0x7f],
          [0x8b, 0xff, 0xff, 0xff, 0x7f],  // an integer of 2 GiB
          [0x4e, 0x72, 0xff, 0xff, 0xff, 0xff],  // the memo's place 2^32 - 1
          [0x95] + [UInt8](repeating: 0xff, count: 8),  // a frame
          [0x5d] + [UInt8](repeating: 0x32, count: 1 << 16), [UInt8](repeating: 0x28, count: 1 << 16),
          [UInt8](repeating: 0x5d, count: 1 << 16),
        ] {
          HostileSizeTests.read(start + Data(instructions))
        }
        // Archives whose table of contents, entries and places are anywhere and of any size.
        for value: UInt64 in [0xffff_fffe, 0xffff_ffff, .max, 1 << 62] {
          let low = UInt32(truncatingIfNeeded: value)
          let end = Data("PK\u{5}\u{6}".utf8) + Data(count: 8) + bytes(low, low) + Data(count: 2)
          let wide = Data("PK\u{6}\u{6}".utf8) + Data(count: 36) + bytes(value, value)
          let locator = Data("PK\u{6}\u{7}".utf8) + Data(count: 4) + bytes(UInt64(4)) + Data(count: 4)
          HostileSizeTests.read(Data("PK\u{3}\u{4}".utf8) + end)
          HostileSizeTests.read(Data("PK\u{3}\u{4}".utf8) + wide + locator + end)
        }
      }
    }

    /// Fixtures whose bytes are, at every place in turn, those of the largest numbers.
    @Test func largestNumbersEverywhere() async {
      await #expect(processExitsWith: .success) {
        for name in Fixtures.readable {
          let original = try Fixtures.data(name)
          for place in stride(from: 0, to: original.count, by: max(1, original.count / 1500)) {
            for count in [4, 8] {
              var data = original
              let end = min(place + count, data.count)
              data.replaceSubrange(place..<end, with: repeatElement(0xff, count: end - place - 1) + [0x7f])
              HostileSizeTests.read(data)
            }
          }
        }
      }
    }

    /// Reads a file with little memory, whatever comes of it.
    private static func read(_ data: Data) {
      unsafe data.withUnsafeBytes { memory in
        limitMemory()
        guard let weights = try? unsafe WeightsFile(MappedFile(bytes: memory, name: "hostile")) else { return }
        for name in weights.names { _ = try? weights.floats(name) }
      }
    }

    /// Lets the memory of the process grow by ``allowance`` from what it is now.
    private static func limitMemory() {
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmData:") } ?? ""
      let kilobytes = Int(line.filter(\.isNumber)) ?? 0
      precondition(kilobytes > 0, "the system tells how much memory a process has")
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
      limit.rlim_cur = rlim_t(kilobytes << 10 + allowance)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_DATA.rawValue), &limit)
    }
  }
#endif
