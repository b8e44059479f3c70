import ImageSimilarityVips
import Testing

@Suite struct SettingsTests {
  @Test func mayBeAppliedAgain() throws {
    try VipsSettings.apply(VipsSettings())
    try VipsSettings.apply(VipsSettings())
    #expect(try VipsSettings.version.split(separator: ".").count == 3)
  }
}
