import CSimilarityKernels
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The levels that this machine can run.
let supportedLevels = (0..<Int32(IMSIM_LEVEL_COUNT)).filter { imsim_level_is_supported($0) != 0 }

@Suite struct InstructionSetTests {
  @Test func levelsAscendFromPortable() {
    let names = (0..<Int32(IMSIM_LEVEL_COUNT)).map { unsafe String(cString: imsim_level_name($0)) }
    #expect(names == ["portable", "avx2", "avx512", "avx512vnni", "avx512bf16"])
    #expect(supportedLevels == Array(0..<Int32(supportedLevels.count)), "a level has all that are below it")
    #expect(imsim_level_is_supported(0) != 0)
    #expect(imsim_level_is_supported(-1) == 0)
    #expect(imsim_level_is_supported(Int32(IMSIM_LEVEL_COUNT)) == 0)
  }

  @Test func everyFamilyHasWhatTheProcessorHas() {
    for level in -1...Int32(IMSIM_LEVEL_COUNT) {
      let isSupported = supportedLevels.contains(level)
      #expect(unsafe (imsim_convolution_kernels_for(level) != nil) == isSupported)
      #expect(unsafe (imsim_spatial_kernels_for(level) != nil) == isSupported)
      #expect(unsafe (imsim_winograd_kernels_for(level) != nil) == isSupported)
    }
  }

  @Test func everyFamilyRunsTheCurrentLevel() {
    let level = imsim_level_current()
    #expect(supportedLevels.contains(level))
    #expect(unsafe imsim_convolution_kernels_current() == imsim_convolution_kernels_for(level))
    #expect(unsafe imsim_spatial_kernels_current() == imsim_spatial_kernels_for(level))
    #expect(unsafe imsim_winograd_kernels_current() == imsim_winograd_kernels_for(level))
  }

  /// The choice is made once a process, so each takes place in one of its own.
  @Test(arguments: [
    ("portable", 0), ("avx2", 1), ("avx512", 2), ("avx512vnni", 3), ("avx512bf16", 4), ("", 4), ("sse", 4), ("avx", 4),
  ]) func environmentLowersTheLevel(_ name: String, _ limit: Int32) async {
    await #expect(processExitsWith: .success) { [name = name as String, limit = limit as Int32] in
      let highest = Int32(supportedLevels.count) - 1
      unsafe setenv("IMSIM_ISA", name, 1)
      #expect(imsim_level_current() == min(limit, highest))
      unsafe setenv("IMSIM_ISA", "portable", 1)
      #expect(imsim_level_current() == min(limit, highest), "chosen once")
    }
  }
}
