import Foundation
import ImageSimilarityKit
import Testing

/// What a Core ML neural network computes, by the letter of Apple's specification (NeuralNetwork.proto), in fp64 and slowly.
/// It reads the file by the specification's field numbers.
struct CoreMLEvaluator {
  /// `[channels, height, width]`, row-major.
  struct Tensor {
    var channels: Int
    var height: Int
    var width: Int
    var values: [Double]

    init(_ channels: Int, _ height: Int, _ width: Int, _ values: [Double]? = nil) {
      (self.channels, self.height, self.width) = (channels, height, width)
      self.values = values ?? [Double](repeating: 0, count: channels * height * width)
    }

    func index(_ c: Int, _ y: Int, _ x: Int) -> Int { (c * height + y) * width + x }
  }

  let model: WireMessage
  let network: WireMessage

  init(_ url: URL) throws {
    model = try WireMessage(Data(contentsOf: url))
    network = try model.message(500)
  }

  var description: WireMessage { get throws { try model.message(2) } }
  var metadata: WireMessage { get throws { try description.message(100) } }
  func layers() throws -> [WireMessage] { try network.messages(1) }

  /// The output of the model.
  func evaluate(_ picture: RGBImage) throws -> [Double] {
    let description = try description
    let input = try description.message(1)
    let image = try input.message(3).message(4)
    try #require(image.integer(1) == picture.size.width && image.integer(2) == picture.size.height)
    let isBGR = image.integer(3) == 30
    try #require(isBGR || image.integer(3) == 20)

    let preprocessing = try network.message(2)
    try #require(preprocessing.string(1) == input.string(1))
    let scaler = try preprocessing.message(10)
    var x = Tensor(3, picture.size.height, picture.size.width)
    for (i, byte) in picture.pixels.enumerated() {
      let (pixel, color) = (i / 3, i % 3)
      let bias = scaler.float([22, 21, 20][color])
      let channel = isBGR ? 2 - color : color
      x.values[channel * picture.size.area + pixel] = Double(byte) * Double(scaler.float(10)) + Double(bias)
    }

    var tensors = [input.string(1): x]
    for layer in try layers() {
      let inputs = try layer.strings(2).map { try #require(tensors[$0], "\($0) is computed before it is read") }
      let outputs = layer.strings(3)
      try #require(outputs.count == 1 && tensors[outputs[0]] == nil)
      tensors[outputs[0]] = try evaluate(layer, inputs)
    }
    let output = try description.message(10)
    let result = try #require(tensors[output.string(1)])
    let array = try output.message(3).message(5)
    #expect(array.integer(2) == 65568)
    #expect(array.integers(1) == [result.channels] && result.height == 1 && result.width == 1)
    return result.values
  }

  private func evaluate(_ layer: WireMessage, _ inputs: [Tensor]) throws -> Tensor {
    if layer.has(290) { return try constant(layer.message(290)) }
    let x = inputs[0]
    if layer.has(100) { return try convolution(layer.message(100), x) }
    if layer.has(120) { return try pooling(layer.message(120), x) }
    if layer.has(130) {
      let activation = try layer.message(130)
      if activation.has(10) { return x.map { max(0, $0) } }
      let linear = try activation.message(5)
      return x.map { Double(linear.float(1)) * $0 + Double(linear.float(2)) }
    }
    if layer.has(140) { return try innerProduct(layer.message(140), x) }
    if layer.has(170) {
      let epsilon = try layer.message(170).float(1)
      let length = (x.values.reduce(0) { $0 + $1 * $1 } + (epsilon == 0 ? 1e-6 : Double(epsilon))).squareRoot()
      return x.map { $0 / length }
    }
    if layer.has(220) {
      let unary = try layer.message(220)
      try #require(unary.integer(1) == 7 && !unary.has(4))
      let scale = unary.float(5) == 0 ? 1 : Double(unary.float(5))
      return x.map { max(Double(unary.float(2)), scale * $0) }
    }
    if layer.has(230) { return try sum(inputs) }
    if layer.has(245) {
      let scale = try layer.message(245)
      try #require(scale.integers(1) == [x.channels] && !scale.has(3))
      let factors = try weights(scale.message(2), rows: 1)
      var y = x
      for i in y.values.indices { y.values[i] *= factors[i / (x.height * x.width)] }
      return y
    }
    if layer.has(280) {
      let reduce = try layer.message(280)
      try #require(reduce.integer(1) == 6 && reduce.integer(3) == 4)
      var y = Tensor(x.channels, x.height, 1)
      for row in y.values.indices {
        y.values[row] = x.values[row * x.width..<(row + 1) * x.width].reduce(0) { $0 + $1 * $1 }.squareRoot()
      }
      return y
    }
    if layer.has(300) {
      let shape = try layer.message(300).integers(1)
      try #require(shape.count == 3 && shape.reduce(1, *) == x.values.count)
      return Tensor(shape[0], shape[1], shape[2], x.values)
    }
    try #require(layer.has(320), "a layer of a kind that is known")
    try #require(inputs.allSatisfy { $0.height == x.height && $0.width == x.width })
    return Tensor(inputs.reduce(0) { $0 + $1.channels }, x.height, x.width, inputs.flatMap(\.values))
  }

  // MARK: Layers

  private func convolution(_ layer: WireMessage, _ x: Tensor) throws -> Tensor {
    let (filters, channels, groups) = (layer.integer(1), layer.integer(2), layer.integer(10))
    let (kernel, stride) = (layer.integers(20), layer.integers(30))
    try #require(channels * groups == x.channels && filters % groups == 0 && !layer.has(40) && !layer.has(60))
    let weights = try weights(layer.message(90), rows: filters)
    try #require(weights.count == filters * channels * kernel[0] * kernel[1] && layer.integer(70) == 1)
    let bias = try self.weights(layer.message(91), rows: 1)
    try #require(bias.count == filters)
    let window = try Window(x, kernel, stride, valid: layer.message(50))
    var y = Tensor(filters, window.height, window.width)
    for filter in 0..<filters {
      let first = filter / (filters / groups) * channels
      for row in 0..<y.height {
        for column in 0..<y.width {
          var sum = bias[filter]
          let (rows, columns) = (window.rows(row), window.columns(column))
          for channel in 0..<channels {
            for (i, dy) in rows {
              for (j, dx) in columns {
                sum +=
                  weights[((filter * channels + channel) * kernel[0] + i) * kernel[1] + j]
                  * x.values[x.index(first + channel, dy, dx)]
              }
            }
          }
          y.values[y.index(filter, row, column)] = sum
        }
      }
    }
    return y
  }

  private func pooling(_ layer: WireMessage, _ x: Tensor) throws -> Tensor {
    try #require(layer.has(30))
    if layer.integer(60) == 1 {
      try #require(layer.integer(1) == 1)
      let area = x.height * x.width
      return Tensor(
        x.channels, 1, 1,
        (0..<x.channels).map { x.values[$0 * area..<($0 + 1) * area].reduce(0, +) / Double(area) })
    }
    try #require(layer.integer(1) == 0)
    let window = try Window(x, layer.integers(10), layer.integers(20), valid: layer.message(30))
    var y = Tensor(x.channels, window.height, window.width)
    for channel in 0..<x.channels {
      for row in 0..<y.height {
        for column in 0..<y.width {
          var largest = -Double.infinity
          for (_, dy) in window.rows(row) {
            for (_, dx) in window.columns(column) { largest = max(largest, x.values[x.index(channel, dy, dx)]) }
          }
          y.values[y.index(channel, row, column)] = largest
        }
      }
    }
    return y
  }

  private func innerProduct(_ layer: WireMessage, _ x: Tensor) throws -> Tensor {
    let (columns, rows) = (layer.integer(1), layer.integer(2))
    try #require(x.values.count == columns)
    let weights = try weights(layer.message(20), rows: rows)
    let bias =
      layer.integer(10) == 1 ? try self.weights(layer.message(21), rows: 1) : [Double](repeating: 0, count: rows)
    try #require(weights.count == rows * columns && bias.count == rows)
    return Tensor(
      rows, 1, 1,
      (0..<rows).map { row in (0..<columns).reduce(bias[row]) { $0 + weights[row * columns + $1] * x.values[$1] } })
  }

  private func constant(_ layer: WireMessage) throws -> Tensor {
    let shape = layer.integers(1)
    try #require(shape.count == 3)
    return Tensor(shape[0], shape[1], shape[2], try weights(layer.message(2), rows: shape[0]))
  }

  /// With the broadcasting that the specification lists: channels, or height and width, of one input may be 1.
  private func sum(_ inputs: [Tensor]) throws -> Tensor {
    try #require(inputs.count == 2)
    let (a, b) = (inputs[0], inputs[1])
    try #require(a.height == b.height && a.width == b.width && (b.channels == a.channels || b.channels == 1))
    var y = a
    for i in y.values.indices { y.values[i] += b.values[i % b.values.count] }
    return y
  }

  /// The numbers of a `WeightParams` message; of `rows` rows where they are quantised.
  func weights(_ message: WireMessage, rows: Int) throws -> [Double] {
    try #require([1, 2, 30].filter(message.has).count == 1)
    if message.has(1) { return message.floats(1).map(Double.init) }
    if message.has(2) {
      let data = message.data(2)
      return stride(from: 0, to: data.count, by: 2).map {
        Self.half(UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8)
      }
    }
    let quantization = try message.message(40)
    let linear = try quantization.message(101)
    let (scale, bias, bytes) = (linear.floats(1), linear.floats(2), message.data(30))
    try #require(quantization.integer(1) == 8 && scale.count == rows && bias.count == rows && bytes.count % rows == 0)
    let columns = bytes.count / rows
    return bytes.enumerated().map { i, byte in
      Double(byte) * Double(scale[i / columns]) + Double(bias[i / columns])
    }
  }

  /// A finite number in half precision.
  private static func half(_ bits: UInt16) -> Double {
    let exponent = Int(bits >> 10 & 31)
    let significand = Double(bits & 1023) / 1024
    let size =
      exponent == 0
      ? significand * 0x1p-14 : (1 + significand) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
    return bits >> 15 == 0 ? size : -size
  }
}

extension CoreMLEvaluator.Tensor {
  fileprivate func map(_ f: (Double) -> Double) -> Self { Self(channels, height, width, values.map(f)) }
}

/// Where the windows of a layer lie in its input.
private struct Window {
  private let inHeight: Int
  private let inWidth: Int
  private let kernel: [Int]
  private let stride: [Int]
  private let before: [Int]
  let height: Int
  let width: Int

  init(_ x: CoreMLEvaluator.Tensor, _ kernel: [Int], _ stride: [Int], valid: WireMessage) throws {
    try #require(kernel.count == 2 && stride.count == 2)
    let edges = try valid.message(1).messages(10)
    before = edges.map { $0.integer(1) }
    let after = edges.map { $0.integer(2) }
    try #require(before.count == 2)
    (inHeight, inWidth) = (x.height, x.width)
    height = (x.height + before[0] + after[0] - kernel[0]) / stride[0] + 1
    width = (x.width + before[1] + after[1] - kernel[1]) / stride[1] + 1
    (self.kernel, self.stride) = (kernel, stride)
  }

  /// The rows of a window that lie in the picture: in the kernel, and in the picture.
  func rows(_ row: Int) -> [(Int, Int)] { Self.places(row, 0, inHeight, self) }
  func columns(_ column: Int) -> [(Int, Int)] { Self.places(column, 1, inWidth, self) }

  private static func places(_ position: Int, _ axis: Int, _ size: Int, _ window: Window) -> [(Int, Int)] {
    (0..<window.kernel[axis]).map { ($0, position * window.stride[axis] + $0 - window.before[axis]) }
      .filter { $0.1 >= 0 && $0.1 < size }
  }
}
