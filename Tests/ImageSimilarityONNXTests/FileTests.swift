import Testing

import ImageSimilarityONNX

@Suite struct FileTests {
  @Test func integerRanges() {
    #expect(ONNXElementType.int8.integerRange == -128...127)
  }
}
