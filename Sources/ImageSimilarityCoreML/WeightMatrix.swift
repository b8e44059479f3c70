internal import CSimilarityKernels
internal import ImageSimilarityKit
internal import SwiftProtobuf

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Weights of a layer, `[rows, columns]`, a row for each number that the layer gives; they are read when they are written.
struct WeightMatrix {
  /// What they are, for messages.
  let name: String
  let rows: Int
  let columns: Int
  /// Calls its argument with all rows in order, a few whole ones at a time.
  let forEachPart: (_ body: ([Float]) throws(SimilarityError) -> Void) throws(SimilarityError) -> Void

  var elementCount: Int { rows * columns }

  /// The fields of a `WeightParams` message.
  ///
  /// - Complexity: reads the weights where they are to be quantised.
  func message(_ coding: CoreMLWeights) throws(SimilarityError) -> MessageStream {
    var message = MessageStream()
    switch coding {
    case .fp32:
      message.append(field: SpecField.floatValue, byteCount: elementCount * 4) { file throws(SimilarityError) in
        try forEachPart { values throws(SimilarityError) in try unsafe file.append(values.span.bytes) }
      }
    case .fp16:
      message.append(field: SpecField.float16Value, byteCount: elementCount * 2) { file throws(SimilarityError) in
        try forEachPart { values throws(SimilarityError) in
          let halves = try halfPrecision(values, of: name)
          try unsafe file.append(halves.span.bytes)
        }
      }
    case .int8:
      let quantization = try quantization()
      message.append(field: SpecField.rawValue, byteCount: elementCount) { file throws(SimilarityError) in
        var row = 0
        try forEachPart { values throws(SimilarityError) in
          let bytes = quantization.steps(values, firstRow: row, columns: columns)
          row += values.count / columns
          try unsafe file.append(bytes.span.bytes)
        }
      }
      message.append(SpecWeightParams.with { $0.quantization = quantization.message })
    }
    return message
  }

  private func quantization() throws(SimilarityError) -> RowQuantization {
    var quantization = RowQuantization()
    try forEachPart { values throws(SimilarityError) in
      for start in stride(from: 0, to: values.count, by: columns) {
        quantization.append(row: values[start..<start + columns])
      }
    }
    return quantization
  }
}

/// Each row's numbers as 256 equal steps from its smallest to its largest: `value = scale * step + bias`.
struct RowQuantization {
  private var scales: [Float] = []
  private var biases: [Float] = []

  mutating func append(row: ArraySlice<Float>) {
    var (low, high) = (Float.infinity, -Float.infinity)
    for value in row {
      low = min(low, value)
      high = max(high, value)
    }
    // In halves: the difference of two numbers may be too large.
    let scale = (high / 255) - (low / 255)
    scales.append(scale >= .leastNormalMagnitude ? scale : 1)
    biases.append(low)
  }

  func steps(_ values: [Float], firstRow: Int, columns: Int) -> [UInt8] {
    var steps: [UInt8] = []
    steps.reserveCapacity(values.count)
    for start in stride(from: 0, to: values.count, by: columns) {
      let row = firstRow + start / columns
      let (scale, bias) = (scales[row], biases[row])
      for i in start..<start + columns {
        let step = ((values[i] - bias) / scale).rounded(.toNearestOrEven)
        steps.append(UInt8(max(0, min(255, step))))
      }
    }
    return steps
  }

  var message: SpecQuantizationParams {
    .with {
      $0.numberOfBits = 8
      $0.linearQuantization.scale = scales
      $0.linearQuantization.bias = biases
    }
  }
}

extension SpecWeightParams {
  /// A bias, or another short vector. Core ML wants a layer's weights and its bias both in halves, or neither.
  init(_ values: [Float], _ coding: CoreMLWeights, of name: String) throws(SimilarityError) {
    self.init()
    if coding == .fp16 {
      let halves = try halfPrecision(values, of: name)
      float16Value = unsafe halves.withUnsafeBytes { unsafe Data($0) }
    } else {
      floatValue = values
    }
  }
}

/// - Throws: ``SimilarityError/Code/invalidArgument`` where a number is too large.
private func halfPrecision(_ values: [Float], of name: String) throws(SimilarityError) -> [UInt16] {
  // What is rounded to at most 65504.
  if let value = values.first(where: { abs($0) >= 65520 }) {
    throw SimilarityError(
      .invalidArgument, "\(name) reach \(value), and fp16 goes up to 65504: export them in fp32 or int8")
  }
  return unsafe [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
    if let start = buffer.baseAddress { unsafe sim_narrow_f16(values, start, values.count) }
    count = values.count
  }
}
