internal import ImageSimilarityCore
internal import ImageSimilarityNN

/// Where the windows of a convolution or a pool lie, along each spatial axis.
struct WindowAttributes {
  var kernel: [Int]
  var stride: [Int]
  var dilation: [Int]
  var padBefore: [Int]
  var padAfter: [Int]
  var outputSize: [Int]

  /// - Parameters:
  ///   - kernel: where the node does not say it.
  ///   - size: of the spatial axes of the input.
  init(_ node: OperatorNode, kernel known: [Int]?, over size: [Int]) throws(SimilarityError) {
    let rank = size.count
    guard rank > 0 else { throw malformed("its input has no spatial axes") }
    func list(_ name: String, _ fallback: [Int]?, count: Int, from lowest: Int) throws(SimilarityError) -> [Int] {
      // An empty list is one that is left out.
      let given = try node.integers(name).flatMap { $0.isEmpty ? nil : $0 }
      guard let values = given ?? fallback else { throw malformed("it has no '\(name)'") }
      guard values.count == count else {
        throw malformed("its attribute '\(name)' is expected to have \(count) numbers, and is \(values)")
      }
      guard values.allSatisfy({ $0 >= lowest && $0 <= TensorLimits.window }) else {
        throw unsupported("its attribute '\(name)' is \(values)")
      }
      return values
    }
    kernel = try list("kernel_shape", known, count: rank, from: 1)
    if let known, known != kernel { throw malformed("its kernel is \(kernel), and its weights are of \(known)") }
    stride = try list("strides", [Int](repeating: 1, count: rank), count: rank, from: 1)
    dilation = try list("dilations", [Int](repeating: 1, count: rank), count: rank, from: 1)
    let reach = zip(kernel, dilation).map { ($0 - 1) * $1 + 1 }

    let automatic = try node.string("auto_pad", default: "NOTSET")
    switch automatic {
    case "NOTSET":
      let pads = try list("pads", [Int](repeating: 0, count: 2 * rank), count: 2 * rank, from: 0)
      padBefore = Array(pads[..<rank])
      padAfter = Array(pads[rank...])
    case "VALID":
      padBefore = [Int](repeating: 0, count: rank)
      padAfter = padBefore
    case "SAME_UPPER", "SAME_LOWER":
      (padBefore, padAfter) = ([], [])
      for axis in 0..<rank {
        let outputs = (size[axis] + stride[axis] - 1) / stride[axis]
        let all = max(0, (outputs - 1) * stride[axis] + reach[axis] - size[axis])
        padBefore.append(automatic == "SAME_UPPER" ? all / 2 : all - all / 2)
        padAfter.append(all - padBefore[axis])
      }
    default:
      throw malformed("there is no padding '\(automatic)'")
    }

    let isCeiling = try node.flag("ceil_mode")
    outputSize = []
    for axis in 0..<rank {
      let span = size[axis] + padBefore[axis] + padAfter[axis] - reach[axis]
      guard span >= 0 else {
        throw malformed("a window of \(reach) does not fit \(size), padded by \(padBefore) and \(padAfter)")
      }
      var count = (isCeiling ? span + stride[axis] - 1 : span) / stride[axis] + 1
      // A window that would begin beyond the input sees nothing.
      if isCeiling, (count - 1) * stride[axis] >= size[axis] + padBefore[axis] { count -= 1 }
      outputSize.append(count)
    }
  }

  /// Whether there is one window, which sees exactly the input.
  func isGlobal(over size: [Int]) -> Bool {
    kernel == size && (padBefore + padAfter).allSatisfy { $0 == 0 } && dilation.allSatisfy { $0 == 1 }
  }

  /// Whether each window sees one element, each element in turn.
  func isIdentity(over size: [Int]) -> Bool {
    kernel.allSatisfy { $0 == 1 } && outputSize == size && stride.allSatisfy { $0 == 1 }
  }

  /// Over a map; its padding is as large as the windows reach.
  ///
  /// - Precondition: there are two spatial axes.
  func window(over size: [Int]) -> NetworkBuilder.Window {
    precondition(kernel.count == 2, "a map has a height and a width")
    func extent(_ values: [Int]) -> NetworkBuilder.Extent { .init(height: values[0], width: values[1]) }
    func after(_ axis: Int) -> Int {
      let end = (outputSize[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
      return max(padAfter[axis], end - padBefore[axis] - size[axis])
    }
    return NetworkBuilder.Window(
      kernel: extent(kernel), stride: extent(stride), dilation: extent(dilation), padTop: padBefore[0],
      padLeft: padBefore[1], padBottom: after(0), padRight: after(1))
  }

  /// The same along a row of pixels of height 1.
  func ofMap() -> WindowAttributes {
    guard kernel.count == 1 else { return self }
    var map = self
    map.kernel.insert(1, at: 0)
    map.stride.insert(1, at: 0)
    map.dilation.insert(1, at: 0)
    map.padBefore.insert(0, at: 0)
    map.padAfter.insert(0, at: 0)
    map.outputSize.insert(1, at: 0)
    return map
  }
}
