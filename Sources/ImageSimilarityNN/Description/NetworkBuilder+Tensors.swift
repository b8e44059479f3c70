/// Layers over tensors of any shape. Shapes that do not fit each other are mistakes in the description and trap.
extension NetworkBuilder {
  // MARK: Sources

  /// The preprocessed picture, `[1, 3, height, width]` or `[1, height, width, 3]`.
  package func pictures(channelsFirst: Bool) -> Tensor {
    let tensor = Tensor(channelsFirst: input)
    return channelsFirst ? tensor : transposed(tensor, [0, 2, 3, 1])
  }

  /// Numbers that the caller of ``NetworkPlan/evaluate(_:_:weights:arguments:)`` gives, in the order of these calls.
  package mutating func argument(shape: [Int]) -> Tensor {
    let index = nodes.count { if case .argument = $0.layer { true } else { false } }
    let value = append(
      .argument(index), [], height: 1, width: shape.dropLast().reduce(1, *), channels: shape.last ?? 1)
    let isDense = storage.makeDense(value)
    precondition(isDense, "a new value has no gaps")
    return Tensor(shape: shape, source: .value(value), strides: Tensor.rowMajor(shape))
  }

  /// A tensor of the weights.
  package func constant(_ name: String, shape: [Int]) -> Tensor {
    Tensor(shape: shape, source: .constant(name: name, shape: shape), strides: Tensor.rowMajor(shape))
  }

  // MARK: Views

  package func transposed(_ x: Tensor, _ permutation: [Int]) -> Tensor {
    precondition(permutation.sorted() == Array(x.shape.indices), "a permutation has each axis once")
    return Tensor(
      shape: permutation.map { x.shape[$0] }, source: x.source, offset: x.offset,
      strides: permutation.map { x.strides[$0] })
  }

  /// `count` elements of an axis, from `start` on, `step` apart, which may be negative.
  package func sliced(_ x: Tensor, axis: Int, from start: Int, count: Int, step: Int = 1) -> Tensor {
    let last = start + (count - 1) * step
    precondition(
      count > 0 && min(start, last) >= 0 && max(start, last) < x.shape[axis],
      "\(count) elements from \(start), \(step) apart, do not lie within \(x.shape[axis])")
    var (shape, strides) = (x.shape, x.strides)
    let offset = x.offset + strides[axis] * start
    shape[axis] = count
    strides[axis] = strides[axis] * step
    return Tensor(shape: shape, source: x.source, offset: offset, strides: strides)
  }

  /// Repeats axes of one element, and new leading ones, as NumPy does.
  package func broadcast(_ x: Tensor, to shape: [Int]) -> Tensor {
    let added = shape.count - x.shape.count
    precondition(
      added >= 0 && zip(x.shape, shape.dropFirst(added)).allSatisfy { $0 == 1 || $0 == $1 },
      "\(x.shape) does not broadcast to \(shape)")
    return Tensor(
      shape: shape, source: x.source, offset: x.offset,
      strides: [Stride](repeating: .zero, count: added) + x.strides)
  }

  /// The same elements, in row-major order, in another shape: a view where there is one, a copy otherwise.
  package mutating func reshaped(_ x: Tensor, to shape: [Int]) -> Tensor {
    precondition(shape.reduce(1, *) == x.count, "\(x.shape) and \(shape) have different numbers of elements")
    if let view = x.reshaped(to: shape) { return view }
    if let value = x.value, let view = x.inElements.reshaped(to: shape), storage.makeDense(value) { return view }
    let copy = rowMajorCopy(x)
    guard let view = copy.reshaped(to: shape) else { preconditionFailure("a row-major tensor has any shape") }
    return view
  }

  // MARK: Convolutions

  /// A convolution of `[1, channels, height, width]`, then batch normalisation, then `residual` is added, then the activation.
  ///
  /// Reads `NAME.weight`, `[filters, channels / groups, kernel height, kernel width]`, and `NAME.bias` where `bias` is true.
  package mutating func convolution(
    _ x: Tensor, _ name: String, filters: Int, window: Window, groups: Int = 1, bias: Bool,
    normalization: Normalization? = nil, activation: Activation = .none, adding residual: Tensor? = nil
  ) -> Tensor {
    let x = map(x, bordered: window)
    var grouping = Grouping.dense
    if groups > 1 {
      grouping = groups == x.channels && groups == filters && window.square != nil ? .depthwise : .groups(groups)
    }
    var layer = ConvolutionLayer(
      name: name, grouping: grouping, window: window, hasBias: bias, normalization: normalization,
      activation: activation)
    let (height, width) = window.outputSize(over: x)
    let fused = residual?.map.flatMap { grouping != .depthwise && $0.shape == [height, width, filters] ? $0 : nil }
    if let residual, fused == nil {
      layer.activation = .none
      let sum = binary(.add, Tensor(channelsFirst: convolution(x, layer, filters: filters)), residual)
      return activated(sum, activation)
    }
    layer.residual = fused
    return Tensor(channelsFirst: convolution(x, layer, filters: filters))
  }

  /// A fully connected layer over the last axis of `[..., channels]`.
  ///
  /// Reads `NAME.weight`, `[features, channels]`, and `NAME.bias` where `bias` is true.
  package mutating func linear(
    _ x: Tensor, _ name: String, features: Int, bias: Bool, activation: Activation = .none,
    adding residual: Tensor? = nil
  ) -> Tensor {
    let (value, leading) = pixels(of: x)
    let isDense = storage.dense.contains(value)
    func result(_ network: inout NetworkBuilder, _ value: Value) -> Tensor {
      // Distances of pixels may stand for whole rows.
      if isDense { _ = network.storage.makeDense(value) }
      return Tensor(shape: x.shape.dropLast() + [features], source: .value(value), strides: leading + [.oneElement])
    }
    if value.height * value.width == 1, bias, activation == .none, residual == nil {
      return result(&self, linear(value, name, features: features))
    }
    var layer = ConvolutionLayer(
      name: name, grouping: .dense, window: Window(kernel: Extent(1)), hasBias: bias, activation: activation,
      isLinear: true)
    if let residual {
      guard let pixels = residual.pixels, pixels.leading == leading,
        pixels.value.shape == [value.height, value.width, features], residual.shape.count == x.shape.count
      else {
        layer.activation = .none
        let product = result(&self, convolution(value, layer, filters: features))
        return activated(binary(.add, product, residual), activation)
      }
      layer.residual = pixels.value
    }
    return result(&self, convolution(value, layer, filters: features))
  }

  // MARK: Pools

  /// The largest element of each window of `[1, channels, height, width]`; positions outside are left out.
  package mutating func maxPool(_ x: Tensor, _ window: Window) -> Tensor {
    let value = map(x)
    if window.square != nil { return Tensor(channelsFirst: maxPool(value, window)) }
    let (height, width) = window.outputSize(over: value)
    return pool(
      x, .max, kernel: [window.kernel.height, window.kernel.width],
      stride: [window.stride.height, window.stride.width],
      dilation: [window.dilation.height, window.dilation.width], padBefore: [window.padTop, window.padLeft],
      padAfter: [window.padBottom, window.padRight], outputSize: [height, width])
  }

  /// A pool over the spatial axes of `[n, channels, spatial...]`.
  ///
  /// - Parameter padAfter: How far a mean counts positions after the last one.
  package mutating func pool(
    _ x: Tensor, _ kind: PoolKind, kernel: [Int], stride: [Int], dilation: [Int], padBefore: [Int], padAfter: [Int],
    outputSize: [Int]
  ) -> Tensor {
    let pool = Pool(
      kind: kind, kernel: kernel, stride: stride, dilation: dilation, padBefore: padBefore, padAfter: padAfter)
    return append(.pool(pool), [x], shape: Array(x.shape.prefix(2)) + outputSize, like: x)
  }

  /// The mean over all pixels of `[1, channels, height, width]`: `[1, channels, 1, 1]`.
  package mutating func globalAveragePool(_ x: Tensor) -> Tensor {
    let value = map(x)
    return Tensor(channelsFirst: globalAveragePool(value))
  }

  // MARK: Moving elements

  package mutating func concatenated(_ xs: [Tensor], axis: Int) -> Tensor {
    if xs.count == 1 { return xs[0] }
    if axis == 1, let values = parts(xs) { return Tensor(channelsFirst: concatenate(values)) }
    var shape = xs[0].shape
    shape[axis] = xs.reduce(0) { $0 + $1.shape[axis] }
    let result = layout(shape, like: xs[0])
    var start = 0
    var places: [Tensor] = []
    for x in xs {
      places.append(sliced(result, axis: axis, from: start, count: x.shape[axis]))
      start += x.shape[axis]
    }
    append(TensorLayer(operation: .assemble(fill: nil), operands: xs, results: places), result)
    return result
  }

  /// Elements of one value around a tensor.
  package mutating func padded(_ x: Tensor, before: [Int], after: [Int], value: Float) -> Tensor {
    let result = layout(x.shape.indices.map { before[$0] + x.shape[$0] + after[$0] }, like: x)
    var place = result
    for axis in x.shape.indices { place = sliced(place, axis: axis, from: before[axis], count: x.shape[axis]) }
    append(TensorLayer(operation: .assemble(fill: value), operands: [x], results: [place]), result)
    return result
  }

  /// `y[..., i, ...]` is the sum over t of `weights[i][t] * x[..., indices[i][t], ...]`; each i has as many terms.
  package mutating func resampled(_ x: Tensor, axis: Int, indices: [[Int]], weights: [[Float]]) -> Tensor {
    precondition(
      indices.map(\.count) == weights.map(\.count) && Set(indices.map(\.count)).count == 1
        && indices.joined().allSatisfy { (0..<x.shape[axis]).contains($0) },
      "each element is a sum of as many elements of \(x.shape[axis])")
    var shape = x.shape
    shape[axis] = indices.count
    return append(.resample(axis: axis, indices: indices, weights: weights), [x], shape: shape, like: x)
  }

  /// All elements of all tensors, one after the other.
  package mutating func vector(_ xs: [Tensor]) -> Value {
    if xs.count == 1, let value = xs[0].value, value.shape == [1, 1, xs[0].count], xs[0].offset == .zero,
      let view = xs[0].reshaped(to: [xs[0].count]), view.strides.allSatisfy({ $0 == .oneElement || $0 == .zero })
    {
      return value
    }
    let result = layout([1, xs.reduce(0) { $0 + $1.count }], like: nil)
    var start = 0
    var places: [Tensor] = []
    for x in xs {
      guard let place = sliced(result, axis: 1, from: start, count: x.count).reshaped(to: x.shape) else {
        preconditionFailure("a row-major tensor has any shape")
      }
      places.append(place)
      start += x.count
    }
    append(TensorLayer(operation: .assemble(fill: nil), operands: xs, results: places), result)
    guard let value = result.value else { preconditionFailure("results are values") }
    return value
  }

  // MARK: Element by element

  package mutating func unary(_ f: Unary, _ x: Tensor) -> Tensor {
    append(.unary(f), [x], shape: x.shape, like: x)
  }

  package mutating func binary(_ f: Binary, _ a: Tensor, _ b: Tensor) -> Tensor {
    let shape = Self.broadcast(a.shape, b.shape)
    let (a, b) = (broadcast(a, to: shape), broadcast(b, to: shape))
    let model = a.value != nil && !a.isRepeating ? a : b.value != nil && !b.isRepeating ? b : nil
    return append(.binary(f), [a, b], shape: shape, like: model)
  }

  // MARK: Along axes

  package mutating func reduce(_ f: Reduction, _ x: Tensor, axes: [Int], keepsAxes: Bool) -> Tensor {
    let shape = x.shape.indices.map { axes.contains($0) ? 1 : x.shape[$0] }
    let result =
      f == .mean && Set(axes) == [2, 3] && exactMap(x) != nil
      ? globalAveragePool(x) : append(.reduce(f), [x], shape: shape, like: x)
    guard !keepsAxes else { return result }
    return reshaped(result, to: x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] })
  }

  package mutating func softmax(_ x: Tensor, axis: Int, log: Bool = false) -> Tensor {
    append(.softmax(axis: axis, log: log), [x], shape: x.shape, like: x)
  }

  /// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over `axis` and all axes after it.
  package mutating func layerNormalization(
    _ x: Tensor, axis: Int, epsilon: Float, scale: Tensor?, bias: Tensor?
  ) -> Tensor {
    let tail = Array(x.shape[axis...])
    let count = tail.reduce(1, *)
    let rows = reshaped(x, to: Array(x.shape[..<axis]) + [count])
    let terms = [scale, bias].compactMap(\.self).map { contiguous(broadcast($0, to: tail)) }
    let result = append(
      .layerNormalization(epsilon: epsilon, hasScale: scale != nil, hasBias: bias != nil), [rows] + terms,
      shape: rows.shape, like: rows)
    return reshaped(result, to: x.shape)
  }

  /// `x / (bias + alpha / size * sum of x^2 over the size channels around) ^ beta`, over axis 1.
  package mutating func localResponseNormalization(
    _ x: Tensor, size: Int, alpha: Float, beta: Float, bias: Float
  ) -> Tensor {
    append(
      .localResponseNormalization(size: size, alpha: alpha, beta: beta, bias: bias), [x], shape: x.shape, like: x)
  }

  /// `[..., m, k] x [..., k, n]`, the axes before broadcast against each other: `[..., m, n]`.
  package mutating func matrixProduct(_ a: Tensor, _ b: Tensor) -> Tensor {
    let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
    precondition(b.shape[b.shape.count - 2] == k, "\(a.shape) and \(b.shape) have no matrix product")
    let batch = Self.broadcast(a.shape.dropLast(2), b.shape.dropLast(2))
    var a = broadcast(a, to: batch + [m, k])
    let b = broadcast(b, to: batch + [k, n])
    // Rows of the left matrix are read in runs.
    if k > 1, a.strides.last != .oneElement {
      a = rowMajorCopy(a)
    }
    // As the right matrix lies, its rows in place of the result's: heads side by side stay side by side.
    let lies = b.strides.last == .oneElement && !b.isRepeating
    let model = lies ? Tensor(shape: batch + [m, n], source: b.source, strides: b.strides) : nil
    return append(.matrixProduct, [a, b], shape: batch + [m, n], like: model, sameValue: false)
  }

  // MARK: - Helpers

  /// The shape that two shapes are repeated to.
  private static func broadcast(_ a: some Collection<Int>, _ b: some Collection<Int>) -> [Int] {
    let rank = max(a.count, b.count)
    let left = [Int](repeating: 1, count: rank - a.count) + a
    let right = [Int](repeating: 1, count: rank - b.count) + b
    return zip(left, right).map { max($0, $1) }
  }

  private mutating func activated(_ x: Tensor, _ activation: Activation) -> Tensor {
    activation == .none ? x : unary(.clamp(activation.limits.low, activation.limits.high), x)
  }

  /// The value that is `x`, `[1, channels, height, width]`, if there is one.
  private func exactMap(_ x: Tensor) -> Value? {
    if let value = x.map { return value }
    guard let value = x.value, storage.dense.contains(value), x.shape.count == 4,
      x.inElements == Tensor(channelsFirst: value).inElements
    else { return nil }
    return value
  }

  /// `x`, `[1, channels, height, width]`, as a value; copied where it lies otherwise, or has no room for the border that windows
  /// need.
  private mutating func map(_ x: Tensor, bordered window: Window? = nil) -> Value {
    precondition(x.shape.count == 4 && x.shape[0] == 1, "a map is [1, channels, height, width], not \(x.shape)")
    if let value = exactMap(x) {
      if let window, window.reachesOver(value), storage.dense.contains(value) { return mapCopy(x) }
      return value
    }
    return mapCopy(x)
  }

  private mutating func mapCopy(_ x: Tensor) -> Value {
    let result = Tensor(channelsFirst: nextValue(height: x.shape[2], width: x.shape[3], channels: x.shape[1]))
    append(TensorLayer(operation: .assemble(fill: nil), operands: [x], results: [result]), result)
    guard let value = result.value else { preconditionFailure("results are values") }
    return value
  }

  /// The values of a concatenation of channels, each one that this concatenation may place; nil where they are no maps.
  private mutating func parts(_ xs: [Tensor]) -> [Value]? {
    let maps = xs.compactMap(exactMap)
    guard maps.count == xs.count else { return nil }
    var values: [Value] = []
    for (x, value) in zip(xs, maps) {
      let isFree = value != input && !storage.dense.contains(value) && !values.contains(value) && !isShared(value)
      values.append(isFree ? value : mapCopy(x))
    }
    return values
  }

  private func isShared(_ value: Value) -> Bool {
    nodes.contains { node in
      guard case .concatenate = node.layer else { return false }
      return node.inputs.contains(value) || node.output == value
    }
  }

  private mutating func pixels(of x: Tensor) -> (value: Value, leading: [Stride]) {
    if let pixels = x.pixels {
      // A distance of pixels that stands for whole rows holds without gaps alone.
      let isPlain = pixels.leading == Array(x.strides.dropLast())
      if isPlain || storage.dense.contains(pixels.value) { return pixels }
    }
    guard let pixels = rowMajorCopy(x).pixels else { preconditionFailure("a row-major tensor has pixels") }
    return pixels
  }

  private mutating func contiguous(_ x: Tensor) -> Tensor {
    x.reshaped(to: [x.count])?.strides.allSatisfy { $0 == .oneElement || $0 == .zero } == true && !x.isRepeating
      ? x : rowMajorCopy(x)
  }

  private mutating func rowMajorCopy(_ x: Tensor) -> Tensor {
    append(.assemble(fill: nil), [x], shape: x.shape, like: nil)
  }

  private mutating func append(
    _ operation: TensorOperation, _ operands: [Tensor], shape: [Int], like model: Tensor?, sameValue: Bool = true
  ) -> Tensor {
    let result = layout(shape, like: model, sameValue: sameValue)
    append(TensorLayer(operation: operation, operands: operands, results: [result]), result)
    return result
  }

  private mutating func append(_ layer: TensorLayer, _ result: Tensor) {
    guard let value = result.value else { preconditionFailure("results are values") }
    let output = append(
      .tensor(layer), layer.operands.compactMap(\.value), height: value.height, width: value.width,
      channels: value.channels)
    precondition(output == value, "a layout is used at once")
  }

  /// A layer's result, which lies in memory as `model` does, as far as the shapes allow; row-major where there is none.
  private mutating func layout(_ shape: [Int], like model: Tensor?, sameValue: Bool = true) -> Tensor {
    if sameValue, let model, let value = model.value, model.shape == shape, model.coversValue {
      let copy = nextValue(height: value.height, width: value.width, channels: value.channels)
      if storage.dense.contains(value) { _ = storage.makeDense(copy) }
      return Tensor(shape: shape, source: .value(copy), offset: model.offset, strides: model.strides)
    }
    let order: [Int]
    if let model {
      let strides = model.approximateStrides.map(abs)
      // Axes of one element, or repeated ones, stay with the axis before them.
      var place = Int.max
      let places = strides.indices.map { axis in
        if strides[axis] != 0 { place = strides[axis] }
        return place
      }
      order = shape.indices.sorted { (places[$1], $0) < (places[$0], $1) }
    } else {
      order = Array(shape.indices)
    }
    if shape.count == 4, shape[0] == 1, order.filter({ shape[$0] > 1 }) == [2, 3, 1].filter({ shape[$0] > 1 }) {
      return Tensor(channelsFirst: nextValue(height: shape[2], width: shape[3], channels: shape[1]))
    }
    let ordered = order.map { shape[$0] }
    let channels = ordered.last ?? 1
    let value = nextValue(height: 1, width: ordered.dropLast().reduce(1, *), channels: channels)
    let isDense = storage.makeDense(value)
    precondition(isDense, "a new value has no gaps")
    var strides = [Stride](repeating: .zero, count: shape.count)
    for (axis, stride) in zip(order, Tensor.rowMajor(ordered)) { strides[axis] = stride }
    return Tensor(shape: shape, source: .value(value), strides: strides)
  }

  private func nextValue(height: Int, width: Int, channels: Int) -> Value {
    Value(id: nodes.count + 1, height: height, width: width, channels: channels)
  }
}
