public import ImageSimilarityCore

extension VipsImageDecoder {
  /// A picture's own size, upright: its EXIF orientation applied. Only the header is read.
  public func size(of source: ImageSource) throws(SimilarityError) -> PixelSize {
    try decode(source, over: .white) {
      ResamplingPlan($0, maximumSide: 1)
    } render: { (plan, _, _) in
      plan.picture
    }
  }
}

/// Where a picture lies on the canvas of an ``ImageSimilarityCore/ImageGeometry``: a point at fraction `t` of the picture's
/// width is at `x + t * width` on the canvas, in pixels; so with heights. Parts may lie outside the canvas.
package struct PicturePlacement: Sendable, Hashable {
  package var x: Double
  package var y: Double
  package var width: Double
  package var height: Double

  package init(of picture: PixelSize, in geometry: ImageGeometry) {
    let plan = ResamplingPlan(picture, geometry)
    x = Double(plan.frameOrigin.x - plan.cutOrigin.x)
    y = Double(plan.frameOrigin.y - plan.cutOrigin.y)
    width = Double(plan.scaled.width)
    height = Double(plan.scaled.height)
  }
}
