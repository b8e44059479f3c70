extension NetworkBuilder {
  /// A height and a width, in pixels.
  package struct Extent: Sendable, Hashable {
    package var height: Int
    package var width: Int

    package init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }

    package init(_ side: Int) { self.init(height: side, width: side) }
  }

  /// What slides over a map: output (y, x) sees the pixels `(y * stride - padTop, x * stride - padLeft)` and on, `dilation`
  /// apart.
  package struct Window: Sendable, Hashable {
    package var kernel: Extent
    package var stride: Extent
    package var dilation: Extent
    package var padTop: Int
    package var padLeft: Int
    package var padBottom: Int
    package var padRight: Int

    package init(
      kernel: Extent, stride: Extent = Extent(1), dilation: Extent = Extent(1), padTop: Int = 0, padLeft: Int = 0,
      padBottom: Int = 0, padRight: Int = 0
    ) {
      self.kernel = kernel
      self.stride = stride
      self.dilation = dilation
      self.padTop = padTop
      self.padLeft = padLeft
      self.padBottom = padBottom
      self.padRight = padRight
    }

    init(kernel: Int, stride: Int, padding: Padding, over x: Value) {
      func pads(_ size: Int) -> (before: Int, after: Int) {
        switch padding {
        case .symmetric(let pad):
          return (pad, pad)
        case .same:
          let all = max(0, ((size + stride - 1) / stride - 1) * stride + kernel - size)
          return (all / 2, all - all / 2)
        }
      }
      let (vertical, horizontal) = (pads(x.height), pads(x.width))
      self.init(
        kernel: Extent(kernel), stride: Extent(stride), padTop: vertical.before, padLeft: horizontal.before,
        padBottom: vertical.after, padRight: horizontal.after)
    }

    /// The pixels from the first to the last that an output sees.
    package var reach: Extent {
      Extent(height: (kernel.height - 1) * dilation.height + 1, width: (kernel.width - 1) * dilation.width + 1)
    }

    package func outputSize(over x: Value) -> (height: Int, width: Int) {
      let (spanY, spanX) = (
        x.height + padTop + padBottom - reach.height, x.width + padLeft + padRight - reach.width
      )
      precondition(spanY >= 0 && spanX >= 0, "a window of \(reach) does not fit \(x.shape)")
      return (spanY / stride.height + 1, spanX / stride.width + 1)
    }

    /// The pixels outside a map that windows see.
    func overhang(over x: Value) -> (top: Int, left: Int, bottom: Int, right: Int) {
      let (height, width) = outputSize(over: x)
      return (
        padTop, padLeft, max(0, (height - 1) * stride.height + reach.height - padTop - x.height),
        max(0, (width - 1) * stride.width + reach.width - padLeft - x.width)
      )
    }

    func reachesOver(_ x: Value) -> Bool { overhang(over: x) != (0, 0, 0, 0) }

    /// The kernel and stride of one number each, where that says it all.
    var square: (kernel: Int, stride: Int)? {
      guard kernel.height == kernel.width, stride.height == stride.width, dilation == Extent(1) else { return nil }
      return (kernel.height, stride.height)
    }
  }
}
