import ImageSimilarityKit

/// How much of a picture has which colour: 4 shades each of red, green and blue make 64 bins.
///
/// Elements are square roots of fractions, so the Euclidean distance of two embeddings is the Hellinger distance of the
/// histograms, but for a factor.
struct ColorHistogram: FeatureExtractor {
  let specification = ExtractorSpecification(
    input: ImageGeometry(size: PixelSize(width: 64, height: 64)),
    fingerprint: ExtractorFingerprint(architecture: "color-histogram", dimension: 64))

  func extract(
    _ images: borrowing ImageBatch, using workspace: inout Void, into embeddings: inout MutableSpan<Float>
  ) throws(SimilarityError) {
    let pixelCount = Float(images.size.area)
    for image in 0..<images.count {
      var counts = [Int](repeating: 0, count: dimension)
      images.withPixels(ofImage: image) { pixels in
        for i in stride(from: 0, to: pixels.count, by: 3) {
          let (red, green, blue) = (pixels[i] / 64, pixels[i + 1] / 64, pixels[i + 2] / 64)
          counts[Int(red) * 16 + Int(green) * 4 + Int(blue)] += 1
        }
      }
      for bin in counts.indices {
        embeddings[image * dimension + bin] = (Float(counts[bin]) / pixelCount).squareRoot()
      }
    }
  }
}
