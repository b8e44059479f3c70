internal import ImageSimilarityCore
internal import ImageSimilarityNN

extension Operators {
  static let resizeRules: [String: Rule] = [
    "Resize": Rule(constants: [1, 2, 3], lower: resize),
    "Upsample": Rule(constants: [1], lower: upsample),
  ]

  /// How one axis changes.
  private struct Axis {
    var index: Int
    var count: Int
    var scale: Double
    var region: (start: Double, end: Double) = (0, 1)
  }

  /// Opsets 7 to 9.
  private static func upsample(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    guard let scales = try lowering.floats(node, 1, or: "scales") else { throw malformed("it has no scales") }
    return [.tensor(try firstResize(&lowering, node, x, scales))]
  }

  private static func resize(
    _ lowering: inout Lowering, _ node: OperatorNode
  ) throws(SimilarityError) -> [Lowering.Value] {
    let x = try lowering.tensor(node, 0)
    if node.opset < 11 {
      guard let scales = try lowering.floats(node, 1) else { throw malformed("it has no scales") }
      return [.tensor(try firstResize(&lowering, node, x, scales))]
    }
    let axes = try resizedAxes(lowering, node, x.shape)
    let name = try node.string("coordinate_transformation_mode", default: "half_pixel")
    let isCrop = name == "tf_crop_and_resize"
    guard isCrop || Interpolation.Coordinates(name) != nil else {
      throw malformed("there are no coordinates '\(name)'")
    }
    if isCrop, try node.float("extrapolation_value", default: 0) != 0,
      axes.contains(where: { $0.region.start < 0 || $0.region.end > 1 })
    {
      throw unsupported("its region reaches over the edges, where its value is not 0")
    }
    let method: Interpolation.Method
    switch try node.string("mode", default: "nearest") {
    case "nearest":
      let rounding = try node.string("nearest_mode", default: "round_prefer_floor")
      guard let known = Interpolation.Rounding(rawValue: rounding) else {
        throw malformed("there is no rounding '\(rounding)'")
      }
      method = .nearest(known)
    case "linear": method = .linear
    case "cubic": method = .cubic(Double(try node.float("cubic_coeff_a", default: -0.75)))
    case let mode: throw malformed("there is no interpolation '\(mode)'")
    }
    let (excludesOutside, isAntialiased) = (try node.flag("exclude_outside"), try node.flag("antialias"))

    var result = x
    for axis in axes {
      // All of an axis stays as it is.
      if axis.count == x.shape[axis.index], axis.scale == 1, axis.region == (0, 1) { continue }
      let coordinates =
        Interpolation.Coordinates(name) ?? .crop(start: axis.region.start, end: axis.region.end)
      let interpolation = Interpolation(
        method: method, coordinates: coordinates, excludesOutside: excludesOutside, isAntialiased: isAntialiased)
      result = resampled(&lowering, result, axis, interpolation)
    }
    return [.tensor(result)]
  }

  private static func resampled(
    _ lowering: inout Lowering, _ x: NetworkBuilder.Tensor, _ axis: Axis, _ interpolation: Interpolation
  ) -> NetworkBuilder.Tensor {
    let (indices, weights) = interpolation.taps(from: x.shape[axis.index], to: axis.count, scale: axis.scale)
    return lowering.network.resampled(x, axis: axis.index, indices: indices, weights: weights)
  }

  /// Scales from the top left corner, without a choice of coordinates.
  private static func firstResize(
    _ lowering: inout Lowering, _ node: OperatorNode, _ x: NetworkBuilder.Tensor, _ scales: [Float]
  ) throws(SimilarityError) -> NetworkBuilder.Tensor {
    let mode = try node.string("mode", default: "nearest")
    guard ["nearest", "linear", "bilinear"].contains(mode) else {
      throw malformed("there is no interpolation '\(mode)'")
    }
    guard scales.count == x.shape.count else {
      throw malformed("it has \(scales.count) scales for a tensor of shape \(x.shape)")
    }
    var result = x
    for (index, scale) in scales.enumerated() where scale != 1 {
      let axis = Axis(index: index, count: try scaled(x.shape[index], by: scale), scale: Double(scale))
      var shape = result.shape
      shape[index] = axis.count
      _ = try TensorLimits.check(shape)
      let method: Interpolation.Method = mode == "nearest" ? .nearest(scale < 1 ? .ceil : .floor) : .linear
      result = resampled(&lowering, result, axis, Interpolation(method: method, coordinates: .asymmetric))
    }
    return result
  }

  private static func scaled(_ size: Int, by scale: Float) throws(SimilarityError) -> Int {
    let count = (Float(size) * scale).rounded(.down)
    guard scale > 0, count >= 1, count <= Float(TensorLimits.elements) else {
      throw unsupported("it scales \(size) elements by \(scale)")
    }
    return Int(count)
  }

  /// The axes that the node lists, with their new sizes.
  private static func resizedAxes(
    _ lowering: Lowering, _ node: OperatorNode, _ shape: [Int]
  ) throws(SimilarityError) -> [Axis] {
    var listed: [Int] = []
    for index in try node.integers("axes") ?? Array(shape.indices) {
      listed.append(try axis(index, rank: shape.count))
    }
    guard Set(listed).count == listed.count else { throw malformed("it lists an axis twice") }
    // An empty list is one that is left out.
    let scales = try lowering.floats(node, 2).flatMap { $0.isEmpty ? nil : $0 }
    let sizes = try lowering.integers(node, 3).flatMap { $0.isEmpty ? nil : $0 }
    let regions = try lowering.floats(node, 1).flatMap { $0.isEmpty ? nil : $0 }
    guard (scales?.count ?? sizes?.count) == listed.count else {
      throw malformed("it has neither a scale nor a size for each of \(listed.count) axes")
    }
    var axes: [Axis] = []
    for (position, index) in listed.enumerated() {
      let size = shape[index]
      if let scales {
        axes.append(
          Axis(index: index, count: try scaled(size, by: scales[position]), scale: Double(scales[position])))
      } else if let sizes {
        axes.append(Axis(index: index, count: sizes[position], scale: Double(sizes[position]) / Double(size)))
      }
    }
    let policy = try node.string("keep_aspect_ratio_policy", default: "stretch")
    if sizes != nil, policy != "stretch" {
      guard policy == "not_larger" || policy == "not_smaller" else { throw malformed("there is no policy '\(policy)'") }
      let scales = axes.map(\.scale)
      let scale = (policy == "not_larger" ? scales.min() : scales.max()) ?? 1
      for position in axes.indices {
        // Half a pixel goes up.
        let count = (Double(shape[axes[position].index]) * scale + 0.5).rounded(.down)
        guard count <= Double(TensorLimits.elements) else { throw unsupported("it scales by \(scale)") }
        axes[position].count = Int(count)
        axes[position].scale = scale
      }
    }
    if let regions {
      guard regions.count == 2 * listed.count, regions.allSatisfy(\.isFinite) else {
        throw malformed("its region has \(regions.count) numbers for \(listed.count) axes")
      }
      let isCrop = try node.string("coordinate_transformation_mode", default: "half_pixel") == "tf_crop_and_resize"
      for position in axes.indices where isCrop {
        axes[position].region = (Double(regions[position]), Double(regions[listed.count + position]))
      }
    }
    var result = shape
    for axis in axes { result[axis.index] = axis.count }
    _ = try TensorLimits.check(result)
    return axes
  }
}
